"""What an operator can set of the convert service, beside what every service has. Each is `MODELYARD_…`."""

import tempfile
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from modelyard_runtime.settings import ServiceSettings
from modelyard_runtime.subprocesses import Limits

GIB = 1 << 30
Role = Literal["api", "worker"]


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class ConvertSettings(ServiceSettings):
    """Sizes are bytes, times seconds. `convert_roles` is a list with commas: `api`, `worker` or both."""

    convert_roles: Annotated[frozenset[Role], NoDecode, BeforeValidator(_listed)] = frozenset({"api", "worker"})
    convert_work_dir: Path = Field(default_factory=lambda: Path(tempfile.gettempdir()), description="scratch space")
    convert_parallel: int = Field(default=1, ge=1, le=64, description="conversions at once, per toolchain")
    convert_threads: int = Field(default=2, ge=1, le=256, description="threads of one parity run")
    convert_source_bytes: int = Field(default=4 * GIB, ge=1, description="largest source, with its samples, on disk")
    convert_calibration_bytes: int = Field(default=GIB // 2, ge=1, description="calibration data fetched at most")
    convert_memory_bytes: int = Field(default=8 * GIB, ge=1 << 28, description="address space of each child")
    convert_cpu_seconds: int = Field(default=3600, ge=1)
    convert_wall_seconds: float = Field(default=1800, gt=0)
    convert_patience: float = Field(default=300, ge=0, description="how long to wait for a store that is away")

    convert_keep_failed: float = Field(
        default=3 * 86_400, ge=0, description="how long a result that failed its proof can be looked at"
    )
    convert_link_seconds: int = Field(default=3600, ge=60, le=7 * 86_400, description="how long links to it work")
    convert_worker_patience: float = Field(
        default=86_400, gt=0, description="how long an ordered conversion waits for a worker that offers its toolchain"
    )

    @property
    def limits(self) -> Limits:
        return Limits(
            memory_bytes=self.convert_memory_bytes,
            cpu_seconds=self.convert_cpu_seconds,
            wall_seconds=self.convert_wall_seconds,
            file_bytes=2 * self.convert_source_bytes,
            confinement=self.confinement,
        )
