"""A service on a kernel that lacks a part: `confined_service.py PART available|required`."""

import sys
from typing import Literal, cast

from hiding import hide  # type: ignore[import-not-found]  # it lies beside this script

from modelyard_runtime import process
from modelyard_runtime.confining import confinement_here
from modelyard_runtime.process import Service

hide(sys.argv[1])


async def build() -> Service:
    wanted = cast(Literal["available", "required"], sys.argv[2])
    return Service("import", facts={"confinement": await confinement_here(wanted)})


build.__module__ = "modelyard_import.bootstrap"
process.run(build)
