"""Importing a module opens nothing: no socket, no process, no thread, no file for writing."""

import subprocess
import sys
from pathlib import Path

from .tree import members

# Audit hooks see what every library does, native ones as far as they go through Python.
WATCHED = '''
import importlib, os, sys, threading, warnings
warnings.simplefilter("ignore")
sys.dont_write_bytecode = True
EVENTS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen",
          "os.system", "os.fork", "os.posix_spawn", "os.exec"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
seen = []

def _probe():
    """urllib3 binds an unreachable socket, once, to learn whether this machine has IPv6."""
    return sys._getframe(2).f_globals.get("__name__") == "urllib3.util.connection"

def hook(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & WRITES:
        path = str(args[0])
        if path != os.devnull:
            seen.append(f"writes {path}")
    elif event in EVENTS and not _probe():
        seen.append(f"{event} {args!r:.200}")

import matplotlib.font_manager  # lists the machine's fonts once, in a file of its own

names = sys.argv[1:]
sys.addaudithook(hook)
before = set(threading.enumerate())
for name in names:
    seen.clear()
    importlib.import_module(name)
    threads = set(threading.enumerate()) - before
    before |= threads
    for what in [*seen, *(f"starts thread {thread.name}" for thread in threads)]:
        print(f"{name}: {what}")
'''


def opened_by(names: list[str], path: str = "") -> list[str]:
    """What importing these modules, in one process, opened."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *names],
        cwd=path or None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_opens_nothing() -> None:
    names = [name for member in members() for name in member.modules if not name.endswith("__main__")]
    assert opened_by(names) == []


def test_the_watch_sees(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("import socket\nsocket.socket().connect_ex(('127.0.0.1', 9))\n")
    (tmp_path / "writer.py").write_text("open('left', 'w').close()\n")
    (tmp_path / "worker.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, name='w', daemon=True).start()\n"
    )
    found = opened_by(["loud", "writer", "worker"], str(tmp_path))
    assert [line.split(":")[0] for line in found] == ["loud", "writer", "worker"]
