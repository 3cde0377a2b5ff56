"""How much a confined subprocess may take. Chosen by the service, applied by the child to itself before any work."""

import resource
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

_CPU_GRACE = 5  # seconds from SIGXCPU to SIGKILL

GIB = 1 << 30


class Limits(BaseModel):
    """`memory_bytes` limits *address space*, the only thing the system limits per process. Native libraries reserve
    more than they use: see the README for what onnxruntime and openvino need. None: no limit."""

    model_config = ConfigDict(frozen=True)

    memory_bytes: int | None = Field(default=4 * GIB, ge=1 << 26)
    cpu_seconds: int = Field(default=600, ge=1, description="over all threads")
    wall_seconds: float = Field(default=900, gt=0)
    file_bytes: int = Field(default=4 * GIB, ge=1, description="largest single file it may write")
    open_files: int = Field(default=256, ge=16)
    result_bytes: int = Field(default=16 << 20, ge=1)
    line_bytes: int = Field(default=4096, ge=16, description="longer log lines are cut")
    log_bytes: int = Field(default=1 << 20, ge=1, description="later log lines are dropped")


def confine(limits: Limits) -> None:
    """Apply to this process, for good. A limit the system already set lower stays."""
    if limits.memory_bytes is not None:
        _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + _CPU_GRACE)
    _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    _limit(resource.RLIMIT_NOFILE, limits.open_files)
    _limit(resource.RLIMIT_CORE, 0)  # a core file would hold the model and whatever else was in memory
    with suppress(OSError):  # Linux only: when the machine runs out of memory, take this process, not the service
        Path("/proc/self/oom_score_adj").write_text("500")


def _limit(what: int, soft: int, hard: int | None = None) -> None:
    highest = resource.getrlimit(what)[1]
    hard = soft if hard is None else hard
    if highest != resource.RLIM_INFINITY:
        soft, hard = min(soft, highest), min(hard, highest)
    with suppress(ValueError):  # macOS refuses RLIMIT_AS
        resource.setrlimit(what, (soft, hard))
