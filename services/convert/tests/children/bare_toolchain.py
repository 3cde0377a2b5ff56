"""A toolchain that needs nothing: it "converts" by copying. What it sees of its surroundings it writes into the log."""

import ctypes
import importlib.util
import os
import resource
import signal
import sys

from modelyard_convert.children.protocol import BadResult, Changes, NotConvertible, Work


def copy(work: Work) -> Changes:
    others = [name for name in ("numpy", "pydantic", "modelyard_contracts") if importlib.util.find_spec(name)]
    work.log(f"it runs in {sys.prefix} and sees {others or 'no package of others'}")
    memory, seconds = (resource.getrlimit(each)[0] for each in (resource.RLIMIT_AS, resource.RLIMIT_CPU))
    ending = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(ending), 0, 0, 0)  # PR_GET_PDEATHSIG
    dies = "dies" if ending.value == signal.SIGKILL else "outlives"
    work.log(f"limits: {memory} bytes, {seconds} s; it {dies} with the service")
    work.result_file("model.onnx").write_bytes(work.source_file(".onnx").read_bytes())
    return Changes(1, "the file was copied")


def whole(work: Work) -> None:
    if not work.result_file("model.onnx").exists():
        raise BadResult("there is none")


def refuse(work: Work) -> Changes:
    raise NotConvertible("it is Tuesday")


def die(work: Work) -> Changes:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Changes(0, "")


def wait(work: Work) -> Changes:
    while True:
        signal.pause()
