"""How much a confined subprocess may take, and what it may see. Chosen by the service, applied by the child to itself
before any work (`confinement.confine`)."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Confinement = Literal["available", "required"]
"""Whether a child works where a part of its confinement cannot be had."""

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
    confinement: Confinement = "available"


class Reach(BaseModel):
    """Absolute paths that a child may open beside its working directory; a folder stands for all below it. They exist
    when it starts."""

    model_config = ConfigDict(frozen=True)

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = Field(default=(), description="also read")
