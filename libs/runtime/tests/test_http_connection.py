"""Bounds of one HTTP connection: clients that do not speak, do not end, do not read, or say two things at once."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from modelyard_runtime import http_connection
from modelyard_runtime.http_server import HttpServer

HEAD = b"GET / HTTP/1.1\r\nHost: yard\r\n"
POST = b"POST / HTTP/1.1\r\nHost: yard\r\n"
MANY = 64 << 20


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.received = b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def status(self) -> int:
        """Of the answer that comes; its body is read too."""
        head = await self.head()
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await self.reader.readexactly(length)
        return int(head.split()[1])

    async def closed(self) -> bool:
        try:
            while received := await self.reader.read(1 << 20):
                self.received = received
        except ConnectionError:
            pass
        return True


class Yard:
    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.clients: list[Client] = []

    async def client(self, data: bytes = b"") -> Client:
        made = Client(*await asyncio.open_connection("127.0.0.1", self.server.port))
        self.clients.append(made)
        made.send(data)
        return made


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def large(_: Request) -> Response:
        return Response(b"x" * MANY)

    routes = [Route("/", echo, methods=["GET", "POST"]), Route("/large", large)]
    server = HttpServer(Starlette(routes=routes), "127.0.0.1", 0)
    await server.start()
    yard = Yard(server)
    yield yard
    for client in yard.clients:
        client.writer.close()
    await server.stop()


@pytest.mark.parametrize("begun", [b"", b"G", HEAD, POST + b"X-Long: "])
async def test_a_head_that_does_not_end_is_given_up(yard: Yard, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(http_connection, "HEAD_WITHIN", 0.05)
    assert await (await yard.client(begun)).closed()


async def test_it_is_given_up_however_often_a_byte_comes(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "HEAD_WITHIN", 0.2)
    client = await yard.client(HEAD + b"X-Long: ")

    def drip() -> None:
        if not client.writer.is_closing():
            client.send(b"x")
            asyncio.get_running_loop().call_later(0.01, drip)

    drip()
    assert await client.closed()
    assert client.received == b""  # what is too long would be answered


async def test_what_comes_behind_an_early_answer_keeps_no_connection(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await yard.client(HEAD.replace(b" / ", b" /nowhere ") + b"Content-Length: 1000\r\n\r\n")
    monkeypatch.setattr(http_connection, "HEAD_WITHIN", 0.05)  # before the answer, and after the connection
    assert await client.status() == 404
    client.send(b"x")
    assert await client.closed()


async def test_one_connection_serves_many_requests(yard: Yard) -> None:
    client = await yard.client()
    for _ in range(3):
        client.send(HEAD + b"\r\n")
        assert await client.status() == 200


async def test_an_answer_that_is_not_read_is_given_up(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "READ_WITHIN", 0.05)
    client = await yard.client(HEAD.replace(b" / ", b" /large ") + b"\r\n")
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a client's transport reads
    while yard.server.connections:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0)
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert await client.closed()


async def test_a_large_answer_that_is_read_arrives_whole(yard: Yard) -> None:
    client = await yard.client(HEAD.replace(b" / ", b" /large ") + b"\r\n")
    assert await client.status() == 200


async def test_a_newcomer_takes_the_place_of_who_waited_longest(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "MOST_CONNECTIONS", 3)
    first = await yard.client(HEAD)
    working = await yard.client(POST + b"Content-Length: 1\r\n\r\n")
    others = [await yard.client(HEAD) for _ in range(2)]
    assert await first.closed()
    working.send(b"x")
    assert await working.status() == 200
    others[1].send(b"\r\n")
    assert await others[1].status() == 200


async def test_where_all_work_the_newcomer_goes(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "MOST_CONNECTIONS", 2)
    working = [await yard.client(POST + b"Content-Length: 1\r\n\r\n") for _ in range(2)]
    for client in working:  # has been heard: the server asks for the body only then
        client.send(b"")
    assert await (await yard.client(HEAD)).closed()
    for client in working:
        client.send(b"x")
        assert await client.status() == 200


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3, 4\r\n\r\nabcd",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length : 3\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500 + b"0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        HEAD + b"X: " + b"x" * 100_000,
        HEAD + b"X\x00Y: 1\r\n\r\n",
    ],
)
async def test_what_two_readers_could_read_differently_is_refused(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, request_: bytes
) -> None:
    monkeypatch.setattr(http_connection, "REFUSED_AFTER", 0)
    client = await yard.client(request_)
    head = await client.head()
    assert head.startswith(b"HTTP/1.1 400 "), head
    assert b"x-content-type-options: nosniff" in head.lower()
    assert await client.closed()


async def test_who_is_refused_waits_for_that(yard: Yard) -> None:
    began = time.monotonic()
    client = await yard.client(POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 500)
    assert (await client.head()).startswith(b"HTTP/1.1 400 ")
    assert time.monotonic() - began >= http_connection.REFUSED_AFTER


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 90 + b"0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"80\r\n" + b"x" * 128 + b"\r\n") * 5_000 + b"0\r\n\r\n",
    ],
)
async def test_what_is_clear_is_served(yard: Yard, request_: bytes) -> None:
    assert await (await yard.client(request_)).status() == 200
