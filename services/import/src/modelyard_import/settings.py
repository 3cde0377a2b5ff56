"""What an operator can set of the import service, beside what every service has."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from modelyard_runtime.settings import ServiceSettings

GIB = 1 << 30
MIB = 1 << 20


def _split(value: Any) -> Any:
    """`a,b` from the environment, as operators write lists."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    """`training={project}/,datasets=teams/{project}/` from the environment."""
    return dict(part.partition("=")[::2] for part in _split(value)) if isinstance(value, str) else value


Folder = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*\{project\}/$")]


class ImportSettings(ServiceSettings):
    """Sizes are bytes. Upload links name the public endpoint; without one, that which this service itself uses."""

    import_roles: Annotated[frozenset[Literal["api", "worker"]], NoDecode, BeforeValidator(_split)] = Field(
        default=frozenset({"api", "worker"}), description="api answers and listens, worker fetches: `api,worker`"
    )
    import_parallel: int = Field(default=4, ge=1, le=64, description="packages that one worker fetches at once")
    import_lease_ms: int = Field(default=12_000, ge=3_000, description="a silent worker is given up after this long")

    source_buckets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=("training", "datasets", "artifacts"), description="where packages may come from: `training,datasets`"
    )
    source_prefixes: Annotated[dict[str, Folder], NoDecode, BeforeValidator(_pairs)] = Field(
        default={}, description="the folder to which each project is kept, by bucket: `training={project}/`"
    )
    max_package_bytes: int = Field(default=100 * GIB, ge=1)
    max_package_files: int = Field(default=2_000, ge=1, le=5_000, description="all are named in one event")

    import_registries: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=("docker.io", "ghcr.io", "quay.io"),
        description="where images may be: `host[:port]`, or with a folder of repositories: `ghcr.io/team`",
    )
    import_registry_credentials: dict[str, SecretStr] = Field(
        default={}, description='JSON, `{"ghcr.io": "user:password"}`; every project may name what these can pull'
    )
    max_image_bytes: int = Field(default=10 * GIB, ge=1, description="all layers of an image, compressed")

    upload_seconds: int = Field(default=86_400, ge=60, le=7 * 86_400, description="how long upload links work")
    upload_part_bytes: int = Field(default=64 * MIB, ge=5 * MIB, description="larger files are uploaded in parts")
    max_upload_files: int = Field(default=1_000, ge=1, le=1_200, description="their links are one answer")

    inspection_seconds: float = Field(default=120, gt=0)
    inspection_memory_bytes: int = Field(default=6 * GIB, ge=GIB, description="address space, of which files are part")
