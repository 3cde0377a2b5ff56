"""Presigned URLs: what lets clients move bytes to and from the store without passing a Python process.

Used through `objects.Objects`. Signing is arithmetic: nothing here talks to the store. A link is a bearer secret
until it expires: it must not be logged.
"""

from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

from minio import Minio
from minio.helpers import check_bucket_name, check_object_name

from modelyard_store.object_errors import translated
from modelyard_store.signed_put import signed_put


class Links:
    """Signs with a client that knows the store by the name under which the public reaches it."""

    def __init__(self, public: Minio) -> None:
        self._public = public

    async def presign_get(self, bucket: str, key: str, expires: int, filename: str | None = None) -> str:
        """`expires` in seconds, at most 7 days. With `filename` (any script) browsers save the object under it."""
        disposition = {"response-content-disposition": attachment(filename)} if filename else {}
        return self._sign("GET", bucket, key, expires, disposition)

    async def presign_put(self, bucket: str, key: str, expires: int, *, length: int) -> str:
        """For one request with exactly so many bytes, at most 5 GiB; larger files go in parts."""
        return self._put(bucket, key, expires, length, {})

    async def presign_part(
        self, bucket: str, key: str, upload_id: str, number: int, expires: int, *, length: int
    ) -> str:
        """Parts count from 1 to 10 000; all but the last need 5 MiB. The response's ETag header goes to `complete`."""
        return self._put(bucket, key, expires, length, {"partNumber": str(number), "uploadId": upload_id})

    def _sign(self, method: str, bucket: str, key: str, expires: int, query: Mapping[str, str]) -> str:
        with translated(bucket, key):
            return self._public.get_presigned_url(
                method, bucket, key, timedelta(seconds=expires), extra_query_params={**query}
            )

    def _put(self, bucket: str, key: str, expires: int, length: int, query: Mapping[str, str]) -> str:
        """With the driver's own URL, which knows how the store is addressed."""
        with translated(bucket, key):
            client = self._public
            check_bucket_name(bucket)
            check_object_name(key)
            region, provider = client._get_region(bucket), client._provider
            url = client._base_url.build(
                method="PUT", region=region, bucket_name=bucket, object_name=key, query_params={**query}
            )
            if provider is None:
                raise ValueError("a link needs credentials")
            return signed_put(url, provider.retrieve(), region, length=length, expires=expires)


def attachment(filename: str) -> str:
    """A Content-Disposition value after RFC 6266: the exact name, and an ASCII one for old clients."""
    name = "".join(character for character in filename if character.isprintable()).replace("/", "_")
    plain = "".join(character if character.isascii() and character not in '"\\%' else "_" for character in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
