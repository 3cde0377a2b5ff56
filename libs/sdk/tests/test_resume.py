"""Transfers over a line that breaks: what has arrived never travels twice."""

import os
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from modelyard import Client, GatewayUnreachable
from modelyard.transfer import download, files_below, upload
from modelyard.transfer import line as lines

from .conftest import Scripted, Uploads

PART = 1_000_000
SIZE = 10 * PART + 5


class Line:
    """A TCP proxy. After `budget` bytes it cuts every connection, and lets none through while it is not `up`."""

    def __init__(self, port: int) -> None:
        self._port, self._lock = port, threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._carrying: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port = self._listener.getsockname()[1]
        self.budget: int | None = None
        self.up, self._closed, self._idle = True, False, threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def reach(self, url: str) -> str:
        return url.replace(f":{self._port}/", f":{self.port}/")

    def cut(self) -> None:
        self.up = False
        with self._lock:
            for near, far in self._pairs:
                with suppress(OSError):
                    near.shutdown(socket.SHUT_RDWR)
                with suppress(OSError):
                    far.shutdown(socket.SHUT_WR)  # and `settle` waits until it hangs up too

    def settle(self) -> None:
        """Until nobody waits to be let in, and storage has seen the end of every connection that was cut."""
        self._idle.clear()
        assert self._closed or self._idle.wait()
        for thread in self._carrying:
            thread.join()

    def close(self) -> None:
        self._closed = True
        self._accepting.join()
        self.cut()
        self.settle()
        for each in (*chain(*self._pairs), self._listener):
            each.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                self._idle.set()
                continue
            if not self.up:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._port))
            with self._lock:
                self._pairs.append((near, far))
            for pair in ((near, far), (far, near)):
                self._carrying.append(threading.Thread(target=self._carry, args=pair, daemon=True))
                self._carrying[-1].start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                if self.budget is not None:
                    self.budget -= len(piece)
                    if self.budget < 0:
                        self.cut()
                        break
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Moved:
    """Bytes that were told of."""

    def __init__(self) -> None:
        self.total, self.sent, self._lock = 0, 0, threading.Lock()
        self.said: list[tuple[int, int]] = []

    def __call__(self, count: int) -> None:
        with self._lock:
            self.total += count
            self.sent += max(0, count)

    def begun(self, total: int, arrived: int) -> None:
        self.said.append((total, arrived))


@pytest.fixture
def line(gateway: Scripted) -> Iterator[Line]:
    made = Line(int(gateway.url.rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "big"
    made.mkdir()
    (made / "weights.bin").write_bytes(os.urandom(SIZE))
    (made / "config.json").write_bytes(b"{}")
    return made


def test_an_upload_goes_on_where_it_was_cut(
    client: Client, gateway: Scripted, uploads: Uploads, line: Line, folder: Path
) -> None:
    uploads.part_size, uploads.reach, line.budget = PART, line.reach, 6 * PART
    first, second = Moved(), Moved()
    with pytest.raises(GatewayUnreachable, match="run the same command again to go on"):
        upload(client, files_below(folder), first, first.begun)
    line.settle()
    arrived = sum(map(len, gateway.stored.values()))
    assert 0 < arrived < SIZE
    assert first.total <= arrived + 2  # parts that were cut are taken back
    before = dict(gateway.received)
    line.budget, line.up = None, True
    assert upload(client, files_below(folder), second, second.begun) == "u 1"
    assert uploads.arrived("weights.bin") == (folder / "weights.bin").read_bytes()
    received = {name: count - before.get(name, 0) for name, count in gateway.received.items()}
    assert sum(received.values()) == SIZE + 2 - arrived == second.sent
    assert second.said == [(SIZE + 2, arrived)]
    assert len(uploads.completed["u 1"][1]["etags"]) == 11


def test_a_short_break_needs_nobody(
    client: Client, gateway: Scripted, uploads: Uploads, line: Line, folder: Path
) -> None:
    uploads.part_size, uploads.reach = PART, line.reach
    moved, broken = Moved(), threading.Event()

    def progress(count: int) -> None:
        moved(count)
        if moved.sent > 4 * PART and not broken.is_set():
            broken.set()
            line.cut()
            line.up = True

    upload(client, files_below(folder), progress)
    assert uploads.arrived("weights.bin") == (folder / "weights.bin").read_bytes()
    assert moved.total == SIZE + 2
    assert sum(gateway.received.values()) <= SIZE + 2 + 4 * PART  # the parts that were under way, not what was there


def test_links_that_are_too_old_are_asked_for_again(
    client: Client, gateway: Scripted, uploads: Uploads, folder: Path
) -> None:
    uploads.part_size, stale = PART, iter(range(100))
    gateway.storage_status["old"] = 403
    uploads.reach = lambda url: gateway.storage("old") if next(stale) < 12 else url
    upload(client, files_below(folder), Moved())
    assert uploads.arrived("weights.bin") == (folder / "weights.bin").read_bytes()


def test_ctrl_c_leaves_what_has_arrived(
    client: Client, gateway: Scripted, uploads: Uploads, line: Line, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads.part_size, uploads.reach = PART, line.reach
    many = threading.Event()

    def interrupted(*_: Any, **__: Any) -> None:
        many.wait()
        raise KeyboardInterrupt

    first, second = Moved(), Moved()

    def progress(count: int) -> None:
        first(count)
        if first.sent > 5 * PART:
            many.set()

    with monkeypatch.context() as patched:
        patched.setattr("modelyard.transfer.line.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            upload(client, files_below(folder), progress)
    line.cut()
    line.settle()
    line.up = True
    arrived = sum(map(len, gateway.stored.values()))
    upload(client, files_below(folder), second, second.begun)
    assert second.said == [(SIZE + 2, arrived)]
    assert second.sent == SIZE + 2 - arrived


def test_an_expired_upload_begins_anew(client: Client, gateway: Scripted, uploads: Uploads, folder: Path) -> None:
    assert upload(client, files_below(folder), Moved()) == "u 1"
    again = Moved()
    assert upload(client, files_below(folder), again, again.begun) == "u 1"
    assert again.said == [(SIZE + 2, SIZE + 2)]  # nothing is sent, nothing is completed twice
    assert [asked.path for asked in gateway.asked].count("uploads/u 1/complete") == 1
    uploads.expired |= {"u 1"}
    assert upload(client, files_below(folder), Moved()) == "u 2"
    assert uploads.arrived("weights.bin", "u 2") == (folder / "weights.bin").read_bytes()


def test_an_upload_that_expires_while_it_is_sent(
    client: Client, gateway: Scripted, uploads: Uploads, folder: Path
) -> None:
    def reach(url: str) -> str:
        if "u 1" not in url:
            return url
        uploads.expired.add("u 1")
        return str(gateway.storage("gone"))

    uploads.reach, gateway.storage_status["gone"] = reach, 404
    moved = Moved()
    assert upload(client, files_below(folder), moved, moved.begun) == "u 2"
    assert moved.said == [(SIZE + 2, 0)] * 2


def test_the_answer_to_complete_is_lost(client: Client, gateway: Scripted, uploads: Uploads, folder: Path) -> None:
    replies = iter([503, 503])

    def complete(_: Any) -> Any:
        return next(replies, None) or {"upload_id": "u 1"}

    begin = uploads.begin

    def begun(_: Any) -> Any:
        reply = begin()
        gateway.on("POST uploads/u 1/complete", complete)
        return reply

    gateway.on("POST uploads", begun)
    assert upload(client, files_below(folder), Moved()) == "u 1"


class Sink:
    """Storage that takes everything and keeps nothing, so that only the sender's memory is seen."""

    is_success, headers = True, MappingProxyType({"etag": "x"})

    def __init__(self) -> None:
        self.most = 0

    def put(self, url: str, content: Iterator[bytes], headers: dict[str, str]) -> "Sink":
        for _ in content:
            self.most = max(self.most, tracemalloc.get_traced_memory()[0])
        return self


def test_memory_stays_flat(client: Client, uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are streamed from the file: no thread ever holds one."""
    sink = Sink()
    monkeypatch.setattr("modelyard.transfer.sending.opened", lambda: nullcontext(lines.Line(sink)))  # type: ignore[arg-type]
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(128 << 20)
    uploads.part_size = 32 << 20
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    upload(client, files_below(tmp_path), Moved())
    tracemalloc.stop()
    assert 0 < sink.most - before < 8 << 20


def test_a_download_goes_on_where_it_was_cut(gateway: Scripted, line: Line, tmp_path: Path) -> None:
    content = os.urandom(SIZE)
    link = gateway.keeps("weights.bin", content)
    line.budget = 4 * PART
    first, second = Moved(), Moved()
    with pytest.raises(GatewayUnreachable, match="run the same command again to go on"):
        download({"files": [{**link, "url": line.reach(link["url"])}]}, tmp_path, first)
    (partial,) = tmp_path.iterdir()
    arrived = partial.stat().st_size
    assert partial.name.startswith(".")
    assert 0 < arrived == first.total < SIZE
    download({"files": [link]}, tmp_path, second, second.begun)
    assert gateway.storage_headers[-1]["range"] == f"bytes={arrived}-"
    assert (second.said, second.total) == ([(SIZE, arrived)], SIZE - arrived)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"weights.bin": content}


def test_a_line_that_keeps_breaking_arrives_all_the_same(gateway: Scripted, line: Line, tmp_path: Path) -> None:
    content = os.urandom(SIZE)
    link = gateway.keeps("weights.bin", content)
    moved = Moved()
    breaks = iter(range(PART, SIZE, PART))
    limit = [next(breaks)]

    def progress(count: int) -> None:
        moved(count)
        if moved.total > limit[0]:
            limit[0] = next(breaks, SIZE)
            line.cut()
            line.up = True

    download({"files": [{**link, "url": line.reach(link["url"])}]}, tmp_path, progress)
    assert (tmp_path / "weights.bin").read_bytes() == content
    assert len(gateway.storage_headers) > 1
    assert moved.sent == moved.total == SIZE


def test_a_download_that_is_done_is_not_done_again(gateway: Scripted, tmp_path: Path) -> None:
    links = {"files": [gateway.keeps("a", b"one"), gateway.keeps("b", b"two")]}
    download(links, tmp_path, Moved())
    (tmp_path / "b").write_bytes(b"owt")
    moved = Moved()
    assert download(links, tmp_path, moved) == [tmp_path / "a", tmp_path / "b"]
    assert len(gateway.storage_headers) == 3
    assert (tmp_path / "b").read_bytes() == b"two"
    assert moved.total == 6


@pytest.mark.parametrize("spoiled", [b"x" * 100, b"x" * 100_000, b"x" * 100_001])
def test_a_partial_file_that_is_none(gateway: Scripted, line: Line, tmp_path: Path, spoiled: bytes) -> None:
    content = b"y" * 100_000
    link = gateway.keeps("a", content)
    line.budget = 70_000
    with pytest.raises(GatewayUnreachable):
        download({"files": [{**link, "url": line.reach(link["url"])}]}, tmp_path, Moved())
    (partial,) = tmp_path.iterdir()
    partial.write_bytes(spoiled)
    moved = Moved()
    download({"files": [link]}, tmp_path, moved, moved.begun)
    assert (tmp_path / "a").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_fresh_links_for_a_download(gateway: Scripted, tmp_path: Path) -> None:
    link = gateway.keeps("a", b"content")
    gateway.storage_status["old"] = 403
    old = {"files": [{**link, "url": gateway.storage("old")}]}
    download(old, tmp_path, Moved(), again=lambda: {"files": [link]})
    assert (tmp_path / "a").read_bytes() == b"content"
