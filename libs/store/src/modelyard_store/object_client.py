"""How `objects` reaches the store: settings, connections, and threads that keep the driver off the event loop."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import TypeVar

import urllib3
from minio import Minio

from modelyard_store.object_errors import translated

T = TypeVar("T")
_SMALL, _BULK = 16, 8
_ABORT_SECONDS = 10.0


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
    """Small calls and bulk transfers wait in queues of their own."""

    def __init__(self) -> None:
        self._small = ThreadPoolExecutor(_SMALL, "objects")
        self._bulk = ThreadPoolExecutor(_BULK, "bulk")

    def close(self) -> None:
        """Blocks until what runs has ended."""
        self._small.shutdown()
        self._bulk.shutdown()

    async def call(self, bucket: str, key: str, run: Callable[[], T]) -> T:
        with translated(bucket, key):
            return await asyncio.get_running_loop().run_in_executor(self._small, run)

    async def transfer(self, bucket: str, key: str, run: Callable[[Event], T]) -> T:
        """Cancelled: the transfer is told to stop and has its time to clean up before the cancellation goes on."""
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


def client_for(settings: ObjectSettings, endpoint: str, secure: bool) -> Minio:
    pool = urllib3.PoolManager(
        maxsize=_SMALL + _BULK * 5,  # a transfer may use five at once
        timeout=urllib3.Timeout(connect=2, read=60),
        retries=urllib3.Retry(
            total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), raise_on_status=False
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE"),  # None: those of the system
    )
    return Minio(
        endpoint, settings.access_key, settings.secret_key, secure=secure, region=settings.region, http_client=pool
    )
