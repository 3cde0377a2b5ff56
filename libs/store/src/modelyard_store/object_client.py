"""How `objects` reaches the store: settings, connections, and threads that keep the driver off the event loop."""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Final, TypeVar

import urllib3
from minio import Minio

from modelyard_store.object_errors import ObjectError, ObjectStoreUnavailable, translated

T = TypeVar("T")
_SMALL, _BULK = 16, 8
_ABORT_SECONDS = 10.0
PROBE_SECONDS: Final = 2.0
"""That a check waits for a connection, and then for an answer."""
SILENT_SECONDS: Final = 3.0
"""Without any answer, after which the store is silent."""


@dataclass(frozen=True, slots=True)
class ObjectSettings:
    """`endpoint` is `host:port`; `public_endpoint` the one that clients reach, if it differs. Sizes are bytes."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    secure: bool = False
    region: str = "us-east-1"
    public_endpoint: str | None = None
    public_secure: bool | None = None
    part_size: int = 16 << 20
    copy_part_size: int = 256 << 20


class Threads:
    """Small calls and bulk transfers wait in queues of their own. While the store is known to be silent, neither
    begins, and small calls under way are given up."""

    def __init__(self) -> None:
        self._small = ThreadPoolExecutor(_SMALL, "objects")
        self._bulk = ThreadPoolExecutor(_BULK, "bulk")
        self._probing = ThreadPoolExecutor(1, "objects-check")
        self._waiting: set[asyncio.Future[None]] = set()
        self._answered, self._asked_since = 0.0, -1.0  # on the monotonic clock
        self._silence: str | None = None

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self._small.shutdown()
        self._bulk.shutdown()
        self._probing.shutdown()

    async def call(self, bucket: str, key: str, run: Callable[[], T]) -> T:
        self._speaks()
        loop = asyncio.get_running_loop()
        answer, given_up = loop.run_in_executor(self._small, run), loop.create_future()
        self._waiting.add(given_up)
        try:
            await asyncio.wait({answer, given_up}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                answer.add_done_callback(_seen)
                self._speaks()
            with translated(bucket, key):
                found = await answer
        except ObjectStoreUnavailable:
            raise
        except ObjectError:
            self._has_answered()
            raise
        finally:
            self._waiting.discard(given_up)
            answer.cancel()
        self._has_answered()
        return found

    async def probe(self, run: Callable[[], T]) -> T:
        """Asked now and then, with a client of little patience. When none was answered for a while, nor any call
        meanwhile, the store is silent; an answer to anything tells that it is not."""
        began = time.monotonic()
        try:
            with translated("objects"):
                found = await asyncio.get_running_loop().run_in_executor(self._probing, run)
        except ObjectStoreUnavailable as error:
            if self._asked_since < self._answered:
                self._asked_since = began
            if max(self._asked_since, self._answered) + SILENT_SECONDS <= time.monotonic():
                self._silence = f"the object store does not answer: {error}"
                for each in self._waiting:
                    if not each.done():
                        each.set_result(None)
            raise
        self._has_answered()
        return found

    def _has_answered(self) -> None:
        self._answered, self._silence = time.monotonic(), None

    def _speaks(self) -> None:
        if self._silence is not None:
            raise ObjectStoreUnavailable(self._silence)

    async def transfer(self, bucket: str, key: str, run: Callable[[Event], T]) -> T:
        """Cancelled: the transfer is told to stop and has its time to clean up before the cancellation goes on."""
        self._speaks()
        stop = Event()
        running = self._bulk.submit(run, stop)
        answer = asyncio.wrap_future(running)
        with translated(bucket, key):
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                stop.set()
                running.cancel()  # helps only what still waits for a thread
                await asyncio.wait([answer], timeout=_ABORT_SECONDS)
                if answer.done() and not answer.cancelled():
                    answer.exception()  # seen: nobody else will ask
                raise


def _seen(given_up: "asyncio.Future[Any]") -> None:
    """Nobody else will ask how it went."""
    if not given_up.cancelled():
        given_up.exception()


def client_for(settings: ObjectSettings, endpoint: str, secure: bool, read: float = 60, tries: int = 3) -> Minio:
    """`read` seconds are waited for each piece of an answer."""
    pool = urllib3.PoolManager(
        maxsize=_SMALL + _BULK * 5,  # a transfer may use five at once
        timeout=urllib3.Timeout(connect=2, read=read),
        retries=urllib3.Retry(
            total=tries - 1, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), raise_on_status=False
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE"),  # None: those of the system
    )
    return Minio(
        endpoint, settings.access_key, settings.secret_key, secure=secure, region=settings.region, http_client=pool
    )
