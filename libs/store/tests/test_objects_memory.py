"""What passes through does not stay: the memory that a transfer takes has nothing to do with the size of the object."""

import secrets
import tracemalloc
from pathlib import Path

import pytest

from modelyard_local.servers import S3Server
from modelyard_store.objects import Objects, ObjectSettings

pytestmark = pytest.mark.servers
MIB = 1 << 20


async def test_a_large_object_passes_through_little_memory(s3_server: S3Server, tmp_path: Path) -> None:
    settings = ObjectSettings(
        s3_server.endpoint, s3_server.access_key, s3_server.secret_key, part_size=5 * MIB, copy_part_size=16 * MIB
    )
    objects, bucket = Objects.connect(settings), f"memory-{secrets.token_hex(6)}"
    await objects.ensure_bucket(bucket)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(120 * MIB)
    await objects.upload(bucket, "large", tmp_path / "sparse")
    tracemalloc.start()
    try:
        found = await objects.copy_and_digest(bucket, "large", bucket, "copy")
        assert await objects.download(bucket, "copy", tmp_path / "back") == found
        assert tracemalloc.get_traced_memory()[1] < 12 * MIB
    finally:
        tracemalloc.stop()
        await objects.close()
