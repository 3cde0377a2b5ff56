"""Load files with the real loaders and tell what they looked up and what they would have done. A process of its own.

`python -m modelyard_testkit.pickles.loading FOLDER` writes one JSON line for each file: the names that a loader found,
and the audit events of doing something. The hook refuses each such event, so nothing is run, written or sent; files are
loaded in forked children with bounds on memory and time, because a damaged array may take its process with it.
"""

import codecs
import importlib
import io
import json
import os
import pickle
import resource
import signal
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

_LOADED_FIRST = (
    "joblib", "numpy.testing", "scipy.interpolate", "scipy.io", "scipy.stats", "sklearn.datasets", "sklearn.ensemble",
    "sklearn.isotonic", "sklearn.linear_model", "sklearn.pipeline", "sklearn.preprocessing", "sklearn.neighbors",
    "sklearn.utils.parallel",
)  # fmt: skip
_MEMORY = 3 * 2**30
_SECONDS = 10
_BATCH = 50
_REFUSED = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
    "os.putenv", "os.kill", "shutil.", "socket.", "ctypes.dlopen", "ctypes.cdata", "urllib.", "ftplib.", "smtplib.",
    "os.startfile", "os.listdir", "os.scandir", "glob.", "tempfile.", "webbrowser.open", "code.__new__", "sqlite3.",
    "signal.", "resource.", "sys.settrace", "sys.setprofile",
)  # fmt: skip
_ours = False
_names: set[tuple[str, str]] = set()
_events: set[str] = set()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _ours:
        return
    if event == "pickle.find_class" and _resolves(*args):
        _names.add((args[0], args[1]))
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    runs = event == "compile" and args[0] is not None and args[1] != "<unknown>" and not _importing()
    if writes or runs or event.startswith(_REFUSED):
        _events.add(event)
        raise PermissionError(f"refused: {event}")


def _importing() -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back  # type: ignore[assignment]  # the last is None
    return False


class _InC(pickle.Unpickler):
    def persistent_load(self, pid: object) -> object:  # noqa: ARG002 - whatever it asks for
        return object()


class _InPython(pickle._Unpickler):
    def persistent_load(self, pid: object) -> object:  # noqa: ARG002 - whatever it asks for
        return object()


class _WithoutPeek(io.BytesIO):
    """As torch.load hands it over."""


def _until_end(load: Callable[[], object], file: BinaryIO) -> None:
    for _ in range(8):
        before = file.tell()
        load()
        if file.tell() == before:
            return


def _c(path: Path, **options: str) -> None:
    with path.open("rb") as file:
        _until_end(lambda: _InC(file, **options).load(), file)  # type: ignore[arg-type]  # encoding and errors


def _c_in_memory(path: Path) -> None:
    file = _WithoutPeek(path.read_bytes())
    _until_end(lambda: _InC(file).load(), file)


def _c_bytes(path: Path) -> None:
    pickle.loads(path.read_bytes())


def _python(path: Path) -> None:
    with path.open("rb") as file:
        _until_end(lambda: _InPython(file).load(), file)


def _joblib(path: Path) -> None:
    from joblib import load  # type: ignore[import-untyped]  # ships no types

    load(path)


def _numpy(path: Path) -> None:
    import numpy as np

    loaded = np.load(path, allow_pickle=True, encoding="latin1")
    for name in getattr(loaded, "files", ()):
        with suppress(Exception):
            loaded[name]


def _members(path: Path) -> None:
    """As torch.load: the archive's `data.pkl`, with what is beside it left out."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist()[:50]:
            if name.endswith(".pkl"):
                with suppress(Exception):
                    _InC(_WithoutPeek(archive.read(name)), encoding="utf-8").load()


def _latin(path: Path) -> None:
    _c(path, encoding="latin1")


LOADERS = (_c, _latin, _c_in_memory, _c_bytes, _python, _joblib, _numpy, _members)


def _preload() -> None:
    """Before anything is refused: importing lists folders and compiles."""
    for module in _LOADED_FIRST:
        importlib.import_module(module)
    codecs.lookup("rot13")


def _resolves(module: str, name: str) -> bool:
    from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING

    both = {(module, name), NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))}
    for home, attribute in both:
        found: Any = sys.modules.get(home)
        try:
            if found is None:
                __import__(home)
                found = sys.modules[home]
            for part in attribute.split("."):
                found = getattr(found, part)
        except Exception:  # noqa: BLE001 - any module may refuse
            continue
        return True
    return False


def look(path: Path) -> dict[str, list[Any]]:
    """What all loaders together did with it."""
    global _ours  # noqa: PLW0603 - the hook cannot be taken off
    _names.clear()
    _events.clear()
    for load in LOADERS:
        _ours = True
        try:
            load(path)
        except BaseException:  # noqa: BLE001 - a broken file may raise anything
            pass
        finally:
            _ours = False
    return {"names": sorted(_names), "events": sorted(_events)}


def _child(paths: list[Path], answer: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(answer, "w") as out:
        for path in paths:
            signal.alarm(_SECONDS)
            out.write(json.dumps({"file": path.name, **look(path)}) + "\n")
            out.flush()
    os._exit(0)


def _forked(paths: list[Path]) -> Iterator[str]:
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        os.close(reading)
        _child(paths, writing)
    os.close(writing)
    with os.fdopen(reading) as lines:
        yield from (line for line in lines if line.endswith("\n"))
    os.waitpid(process, 0)


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    sys.addaudithook(_hook)
    _preload()
    sys.stderr = io.StringIO()
    waiting = sorted(folder.iterdir())
    while waiting:
        batch = waiting[:_BATCH]
        told = 0
        for line in _forked(batch):
            sys.stdout.write(line)
            sys.stdout.flush()
            told += 1
        # What ended its process is left out: it did not come to call anything that the hook refuses.
        waiting = waiting[told + 1 if told < len(batch) else told :]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
