"""What an operator can set of the version service, beside what every service has."""

from pydantic import Field

from modelyard_runtime.settings import ServiceSettings


class VersionSettings(ServiceSettings):
    """Download links name the public endpoint; without one, the endpoint that this service itself uses."""

    link_seconds: int = Field(default=3600, ge=60, le=7 * 86400, description="how long a download link works")
    verify_parallel: int = Field(default=2, ge=1, le=16, description="versions that are verified at the same time")
    deleted_days: int = Field(
        default=7, ge=0, le=3650, description="how long a deleted version can be restored before its bytes go; 0: not"
    )
    audit_grace_seconds: int = Field(
        default=86_400,
        ge=1,
        description="an audit leaves objects alone that are younger: somebody may be writing them",
    )
