"""Presigned URLs: what lets clients move bytes to and from the store without passing a Python process.

Used through `objects.Objects`. Signing is arithmetic: nothing here talks to the store. A link is a bearer secret
until it expires: it must not be logged.
"""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from minio import Minio

from modelyard_store.object_errors import translated


class Links:
    """Signs with a client that knows the store by the name under which the public reaches it."""

    def __init__(self, public: Minio) -> None:
        self._public = public

    async def presign_get(self, bucket: str, key: str, expires: int, filename: str | None = None) -> str:
        """`expires` in seconds, at most 7 days. With `filename` (any script) browsers save the object under it."""
        disposition = {"response-content-disposition": attachment(filename)} if filename else {}
        return self._sign("GET", bucket, key, expires, disposition)

    async def presign_put(self, bucket: str, key: str, expires: int) -> str:
        """For one request of at most 5 GiB; larger files go in parts."""
        return self._sign("PUT", bucket, key, expires, {})

    async def presign_part(self, bucket: str, key: str, upload_id: str, number: int, expires: int) -> str:
        """Parts count from 1 to 10 000; all but the last need 5 MiB. The response's ETag header goes to `complete`."""
        return self._sign("PUT", bucket, key, expires, {"uploadId": upload_id, "partNumber": str(number)})

    async def presign_parts(self, bucket: str, key: str, upload_id: str, count: int, expires: int) -> list[str]:
        """One URL per part, in order."""
        return [await self.presign_part(bucket, key, upload_id, number, expires) for number in range(1, count + 1)]

    def _sign(self, method: str, bucket: str, key: str, expires: int, query: Mapping[str, str]) -> str:
        with translated(bucket, key):
            return self._public.get_presigned_url(
                method, bucket, key, timedelta(seconds=expires), extra_query_params={**query}
            )


def attachment(filename: str) -> str:
    """A Content-Disposition value after RFC 6266: the exact name, and an ASCII one for old clients."""
    name = "".join(character for character in filename if character.isprintable()).replace("/", "_")
    plain = "".join(character if character.isascii() and character not in '"\\%' else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
