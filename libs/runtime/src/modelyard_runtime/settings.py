"""What an operator can set of every service. Each service's `settings.py` adds its own by inheriting.

Everything comes from the environment, as `MODELYARD_` and the field name in capitals: the same container image or
process runs anywhere, and no secret lies in a file of the repository.
"""

from typing import Annotated, Literal, TypedDict

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from modelyard_runtime.limits import Confinement

_DOCUMENT_SCHEMES = ("sqlite:///", "mongodb://", "mongodb+srv://")


def _document_url(url: str) -> str:
    if not url.startswith(_DOCUMENT_SCHEMES):
        raise ValueError(f"must begin with one of {', '.join(_DOCUMENT_SCHEMES)}")
    return url


class NatsPlace(TypedDict):
    """What `modelyard_bus.BusSettings` is made of; a service's bootstrap passes it on."""

    url: str
    name: str
    user: str | None
    password: str | None


class S3Place(TypedDict):
    """What `modelyard_store.ObjectSettings` is made of."""

    endpoint: str
    access_key: str
    secret_key: str
    secure: bool
    region: str
    public_endpoint: str | None
    public_secure: bool | None


class ServiceSettings(BaseSettings):
    """Read once, in `bootstrap.build`. Raises pydantic.ValidationError naming each wrong field, never its value."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", extra="ignore", frozen=True, hide_input_in_errors=True)

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="without credentials")
    nats_user: str | None = None
    nats_password: SecretStr | None = None

    document_url: Annotated[str, AfterValidator(_document_url)] = Field(
        default="sqlite:///data/modelyard.db", repr=False, description="sqlite:///path or mongodb://host/database"
    )

    s3_endpoint: str = Field(default="127.0.0.1:9000", description="host:port")
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None
    s3_secure: bool = Field(default=False, description="HTTPS")
    s3_region: str = "us-east-1"
    s3_public_endpoint: str | None = Field(default=None, description="host:port as clients reach it, for links")
    s3_public_secure: bool | None = None
    artifacts_bucket: str = Field(default="artifacts", min_length=3, max_length=63)

    housekeeping_seconds: float = Field(
        default=60, gt=0, description="how often to look for what expired or for work that nobody takes care of"
    )

    confinement: Confinement = Field(
        default="available", description="`required`: do not start where a part of what confines children is missing"
    )

    http_host: str = Field(default="127.0.0.1", description="for /healthz, /readyz and /metrics")
    http_port: int = Field(default=0, ge=0, le=65535, description="0: any free port; the log says which")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    def nats(self, service: str) -> NatsPlace:
        password = self.nats_password.get_secret_value() if self.nats_password else None
        return NatsPlace(url=self.nats_url, name=service, user=self.nats_user, password=password)

    def s3(self) -> S3Place:
        """Raises ValueError without credentials: the store refuses anonymous callers."""
        if self.s3_access_key is None or self.s3_secret_key is None:
            raise ValueError("MODELYARD_S3_ACCESS_KEY and MODELYARD_S3_SECRET_KEY are needed")
        return S3Place(
            endpoint=self.s3_endpoint,
            access_key=self.s3_access_key,
            secret_key=self.s3_secret_key.get_secret_value(),
            secure=self.s3_secure,
            region=self.s3_region,
            public_endpoint=self.s3_public_endpoint,
            public_secure=self.s3_public_secure,
        )
