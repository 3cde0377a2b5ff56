"""One hostile caller, in a process of its own: bare connections that send what nobody sends by mistake."""

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import uvloop

_HOST = "Host: 127.0.0.1\r\n"


@dataclass(frozen=True)
class Attack:
    """`name` is one of `ATTACKS`. `token` is the caller's own, of the project `project`."""

    name: str
    port: int
    seconds: float
    project: str
    token: str


def run(attack: Attack) -> dict[str, int]:
    """How many answers came with each status; `cut` are connections that ended without one."""
    return uvloop.run(_run(attack))


async def _run(attack: Attack) -> dict[str, int]:
    connections, request, drip = ATTACKS[attack.name]
    counts: dict[str, int] = {}
    until = time.monotonic() + attack.seconds
    sent = request(attack)
    callers = (_caller(attack.port, sent, drip, until, counts) for _ in range(connections))
    with suppress(TimeoutError):
        async with asyncio.timeout(attack.seconds):
            await asyncio.gather(*callers)
    return counts


async def _caller(port: int, sent: bytes, drip: bool, until: float, counts: dict[str, int]) -> None:
    while time.monotonic() < until:
        try:
            status = await _once(port, sent, drip)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            status = "cut"
            await asyncio.sleep(0.01)
        counts[status] = counts.get(status, 0) + 1


async def _once(port: int, sent: bytes, drip: bool) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    dripping = asyncio.create_task(_drip(writer)) if drip else None
    try:
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        if b"text/event-stream" in head:
            await reader.read()
        return head.split()[1].decode()
    finally:
        if dripping is not None:
            dripping.cancel()
        writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(0.5)
        writer.write(b"x")


def _get(attack: Attack, path: str) -> bytes:
    return (
        f"GET /v1/{attack.project}/{path} HTTP/1.1\r\n{_HOST}Authorization: Bearer {attack.token}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()


def _post(attack: Attack, body: bytes, length: str | None = None) -> bytes:
    return (
        f"POST /v1/{attack.project}/models HTTP/1.1\r\n{_HOST}Authorization: Bearer {attack.token}\r\n"
        f"Content-Type: application/json\r\n{length or f'Content-Length: {len(body)}'}\r\n\r\n"
    ).encode() + body


def _unknown(count: int) -> bytes:
    return ("{" + ",".join(f'"unknown-{number}":{number}' for number in range(count)) + "}").encode()


def _query(attack: Attack) -> bytes:
    names = itertools.islice(map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz", repeat=3)), 3_500)
    return _get(attack, "models?" + "=&".join(names))


def _guess(attack: Attack) -> bytes:
    return _get(Attack(attack.name, attack.port, attack.seconds, attack.project, "guess"), "models")


ATTACKS: dict[str, tuple[int, Callable[[Attack], bytes], bool]] = {
    "3.3 MiB of unknown fields": (10, lambda attack: _post(attack, _unknown(150_000)), False),
    "40,000 unknown fields": (10, lambda attack: _post(attack, _unknown(40_000)), False),
    "9,900 unknown fields, as many as are read": (10, lambda attack: _post(attack, _unknown(9_900)), False),
    "a query of 3,500 parameters": (10, _query, False),
    "a body in pieces of one byte": (
        10,
        lambda attack: _post(attack, b"1\r\nx\r\n" * 100_000, "Transfer-Encoding: chunked"),
        False,
    ),
    "200 unfinished heads": (200, lambda attack: f"GET /v1/{attack.project}/models HTTP/1.1\r\nX: ".encode(), True),
    "200 unfinished bodies": (200, lambda attack: _post(attack, b"", "Content-Length: 1000"), True),
    "200 event streams": (200, lambda attack: _get(attack, "events"), False),
    "wrong tokens on 50 connections": (50, _guess, False),
    **{
        f"lists of {rows:,} on 32 connections": (32, partial(_get, path=f"models?limit={rows}"), False)
        for rows in (1, 100, 300, 1_000)
    },
}
"""Connections at once, what each sends, and whether it goes on with a byte now and then."""
