"""What an operator can set of every service. Each service's `settings.py` adds its own by inheriting.

Everything comes from the environment, as `MODELYARD_` and the field name in capitals: the same container image or
process runs anywhere, and no secret lies in a file of the repository.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

_DOCUMENT_SCHEMES = ("sqlite:///", "mongodb://", "mongodb+srv://")


def _document_url(url: str) -> str:
    if not url.startswith(_DOCUMENT_SCHEMES):
        raise ValueError(f"must begin with one of {', '.join(_DOCUMENT_SCHEMES)}")
    return url


class ServiceSettings(BaseSettings):
    """Read once, in `bootstrap.build`. Raises pydantic.ValidationError naming each wrong field, never its value."""

    model_config = SettingsConfigDict(env_prefix="MODELYARD_", extra="ignore", frozen=True, hide_input_in_errors=True)

    nats_url: str = Field(default="nats://127.0.0.1:4222", description="without credentials")
    nats_user: str | None = None
    nats_password: SecretStr | None = None

    document_url: Annotated[str, AfterValidator(_document_url)] = Field(
        default="sqlite:///data/modelyard.db", repr=False, description="sqlite:///path or mongodb://…"
    )
    database: str = Field(default="modelyard", pattern=r"^[A-Za-z0-9_-]{1,63}$", description="MongoDB database name")

    s3_endpoint: str = Field(default="127.0.0.1:9000", description="host:port")
    s3_access_key: str | None = None
    s3_secret_key: SecretStr | None = None
    s3_secure: bool = Field(default=False, description="HTTPS")
    s3_region: str = "us-east-1"
    s3_public_endpoint: str | None = Field(default=None, description="host:port as clients reach it, for links")
    s3_public_secure: bool | None = None
    artifacts_bucket: str = Field(default="artifacts", min_length=3, max_length=63)

    http_host: str = Field(default="127.0.0.1", description="for /healthz, /readyz and /metrics")
    http_port: int = Field(default=0, ge=0, le=65535, description="0: any free port; the log says which")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
