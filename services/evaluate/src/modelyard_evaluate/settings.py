"""What an operator can set of the evaluate service, beside what every service has. Each is `MODELYARD_…`."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from modelyard_evaluate.domain.listing import Limits
from modelyard_runtime.settings import ServiceSettings
from modelyard_runtime.subprocesses import Limits as ChildLimits

GIB = 1 << 30


def _split(value: Any) -> Any:
    """`a,b` from the environment, as operators write lists."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: Any) -> Any:
    """`training={project}/,datasets=teams/{project}/` from the environment."""
    return dict(part.partition("=")[::2] for part in _split(value)) if isinstance(value, str) else value


Folder = Annotated[str, Field(pattern=r"^([A-Za-z0-9._-]+/)*\{project\}/$")]


class EvaluateSettings(ServiceSettings):
    """Sizes are bytes, times seconds."""

    evaluate_roles: Annotated[frozenset[Literal["api", "worker"]], NoDecode, BeforeValidator(_split)] = Field(
        default=frozenset({"api", "worker"}), description="api answers and listens, worker measures: `api,worker`"
    )
    evaluate_parallel: int = Field(
        default=1, ge=1, le=64, description="runs that one worker measures at once, per task"
    )
    evaluate_threads: int = Field(default=2, ge=1, le=256, description="threads of one run")
    evaluate_work_dir: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()), description="scratch space")
    evaluate_memory_bytes: int = Field(default=16 * GIB, ge=1 << 28, description="address space of the subprocess")
    evaluate_wall_seconds: float = Field(default=3600, gt=0)

    dataset_buckets: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=("datasets", "training"), description="where datasets may lie, beside uploads: `datasets,training`"
    )
    source_prefixes: Annotated[dict[str, Folder], NoDecode, BeforeValidator(_pairs)] = Field(
        default={}, description="the folder to which each project is kept, by bucket: `datasets={project}/`"
    )
    max_dataset_samples: int = Field(default=200_000, ge=1)
    max_dataset_bytes: int = Field(default=50 * GIB, ge=1)
    max_model_bytes: int = Field(default=20 * GIB, ge=1)
    link_seconds: int = Field(default=3600, ge=60, le=7 * 86_400, description="how long links to plots work")

    @property
    def dataset_limits(self) -> Limits:
        return Limits(most_samples=self.max_dataset_samples, most_bytes=self.max_dataset_bytes)

    @property
    def child_limits(self) -> ChildLimits:
        return ChildLimits(
            memory_bytes=self.evaluate_memory_bytes,
            cpu_seconds=int(self.evaluate_wall_seconds) * self.evaluate_threads + 1,
            wall_seconds=self.evaluate_wall_seconds,
            file_bytes=GIB,
            confinement=self.confinement,
        )
