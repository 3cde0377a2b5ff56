"""The refit child: runs a function of a toolchain's program, in that toolchain's interpreter.

Started by path (`modelyard_runtime.subprocesses.run_program`) where nothing of ours need be installed, so it imports
the standard library and `protocol`.
"""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = Path(__file__).parents[1]


def _only_folders() -> None:
    """Of our packages no more than where they lie: what their own `__init__` imports is not installed here."""
    for name in ("modelyard_convert", "modelyard_convert.children", "modelyard_convert.toolchains"):
        package = sys.modules[name] = ModuleType(name)
        package.__path__ = [str(_OURS.joinpath(*name.split(".")[1:]))]


if __name__ != "modelyard_convert.children.refit":  # it was started by path
    _only_folders()

from modelyard_convert.children.protocol import Changes, Refusal, Samples, Work  # noqa: E402 - found only now


def main(request: dict[str, Any], log: Callable[[str], None]) -> dict[str, Any]:
    """`requests.RefitRequest` in; `{changed, what}` or `{refused, said}` out."""
    program = _loaded(Path(request["program"]))
    try:
        changes: Changes = getattr(program, request["convert"])(_work(request, log))
        log(changes.what)
        if changes.count and request["check"]:
            getattr(program, request["check"])(_work(request, log))
    except Refusal as refusal:
        return {"refused": type(refusal).__name__, "said": [_public(str(each), request) for each in refusal.args]}
    except (OSError, MemoryError):  # the worker's own trouble
        raise
    except Exception as error:  # noqa: BLE001 - a library that could not do it
        said = f"{type(error).__name__}: {_public(str(error), request)}"
        return {"refused": "ToolchainFailed", "said": [said]}
    return {"changed": changes.count, "what": changes.what, "notes": list(changes.notes)}


def _public(text: str, request: dict[str, Any]) -> str:
    """Without the worker's folders, which mean nothing to anybody else."""
    for folder in ("scratch", "result", "source"):
        text = text.replace(f"{request[folder]}/", "").replace(request[folder], folder)
    return _LIBRARY.sub("", text)


_LIBRARY = re.compile(r"(?<![\w.])/(?:[^\s:'\"/]+/)+(?=[^\s:'\"/]+)")
"""The folders of an absolute path: where a library was built or lies."""


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("toolchain_program", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _work(request: dict[str, Any], log: Callable[[str], None]) -> Work:
    samples = request["samples"]
    return Work(
        source=Path(request["source"]),
        result=Path(request["result"]),
        scratch=Path(request["scratch"]),
        options=request["options"],
        samples=Samples(Path(samples["path"]), samples["inputs"], samples["count"]),
        log=log,
    )
