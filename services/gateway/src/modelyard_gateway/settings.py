"""What an operator can set of the gateway, beside what every service has."""

from pydantic import Field, SecretStr

from modelyard_runtime.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """The first token is the operator's: it is admin of the operator project and may make further projects."""

    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8080, ge=0, le=65535)
    operator_project: str = Field(default="default", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    operator_token: SecretStr | None = Field(default=None, description="at least 32 characters; kept only as a hash")
    access_master_key: SecretStr | None = Field(
        default=None, min_length=32, description="secrets of access keys are derived from it; without it there are none"
    )
    access_signed_host: bool = Field(
        default=False, description="true: a signature has to cover the header Host, which Terraform's leaves out"
    )
    source_hosts: str = Field(
        default="", description="of object storage, `s3.team.example,obs.lab`: `https://bucket.host/…` names a bucket"
    )
    max_body_bytes: int = Field(default=1024 * 1024, description="one message on NATS; model bytes go to S3 directly")
    max_streams: int = Field(default=200, ge=1, description="server-sent event streams open at once")
    max_project_streams: int = Field(default=50, ge=1)
    max_token_streams: int = Field(default=20, ge=1)
    max_project_requests: int = Field(default=16, ge=1, description="under way at once; more wait for each other")
    max_token_requests: int = Field(default=8, ge=1)

    @property
    def storage_hosts(self) -> tuple[str, ...]:
        return tuple(host.strip() for host in self.source_hosts.split(",") if host.strip())
