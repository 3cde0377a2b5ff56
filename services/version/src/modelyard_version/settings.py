"""What an operator can set of the version service, beside what every service has."""

from pydantic import Field

from modelyard_runtime.settings import ServiceSettings


class VersionSettings(ServiceSettings):
    artifacts_bucket: str = "artifacts"
    link_seconds: int = Field(default=3600, ge=60, le=7 * 86400, description="how long a download link works")
