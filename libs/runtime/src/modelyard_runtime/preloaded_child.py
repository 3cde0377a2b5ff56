"""The process that `preloaded` keeps: it imports a module once and forks a confined child for every request.

Started as `python -m modelyard_runtime.preloaded_child MODULE PARENT FD`. FD is one end of a pair of SOCK_SEQPACKET
sockets. An order comes with two descriptors, what the child reads its request from and what it prints to; the child
itself says that it has started, and this process says how it ended. It never looks at a request, so nothing of one
reaches the next. It has one thread only: that is what makes forking safe.
"""

import gc
import io
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from typing import Any, Final

from modelyard_runtime import subprocess_child
from modelyard_runtime.confinement import confine
from modelyard_runtime.parent_death import die_with_parent
from modelyard_runtime.program_child import finish, mishap

MESSAGE: Final = 1 << 16


class Forking:
    def __init__(self, module: str, channel: socket.socket) -> None:
        self._module = module
        self._channel = channel
        self._running: dict[int, str] = {}

    def next_request(self) -> None:
        """Returns once for every order, each time in a new process. Ends this one when the service has gone."""
        gc.freeze()  # what is shared with the children stays shared
        ended, wake = socket.socketpair()
        for each in (ended, wake):
            each.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno())
        with selectors.DefaultSelector() as ready:
            ready.register(self._channel, selectors.EVENT_READ)
            ready.register(ended, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is ended:
                        self._reap(ended)
                    elif self._fork():
                        ended.close()
                        wake.close()
                        return

    def _reap(self, ended: socket.socket) -> None:
        with suppress(BlockingIOError):
            ended.recv(MESSAGE)
        for pid in tuple(self._running):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._say({"result": self._running.pop(pid), "code": os.waitstatus_to_exitcode(status)})

    def _fork(self) -> bool:
        """True in the child."""
        data, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE, 2)
        if not data:
            os._exit(0)
        order, own = json.loads(data), os.getpid()
        if pid := os.fork():
            self._running[pid] = order["result"]
            for descriptor in descriptors:
                os.close(descriptor)
            return False
        self._become(order, own, *descriptors)
        return True

    def _become(self, order: dict[str, Any], parent: int, request: int, output: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        die_with_parent(parent)
        os.chdir(order["folder"])
        os.environ.update(HOME=order["folder"], TMPDIR=order["folder"])
        tempfile.tempdir = None  # found anew
        for descriptor, place in ((request, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, place)
        for descriptor in (request, output):
            os.close(descriptor)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
        sys.argv = [self._module, order["result"]]
        self._say({"result": order["result"], "pid": os.getpid()})
        self._channel.close()
        try:
            confine(order)
        except Exception as error:  # noqa: BLE001 - the service says why there is no result
            finish(order["result"], mishap(error))

    def _say(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # the service has gone, and we go with it
            self._channel.send(json.dumps(message).encode())


def _main(module: str, parent: str, descriptor: str) -> None:
    die_with_parent(int(parent))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then ends this
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    forking = Forking(module, socket.socket(fileno=int(descriptor)))
    subprocess_child.wait_for_request = forking.next_request
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
