"""The shared servers are there for any test, and a test can use them from its own event loop."""

import io
import uuid

import nats
import pytest
from minio import Minio
from motor.motor_asyncio import AsyncIOMotorClient

from modelyard_contracts.permissions import OPERATOR, inbox_prefix
from modelyard_local.servers import S3Server
from modelyard_testkit.servers import RunningNats

pytestmark = pytest.mark.servers


def test_s3_keeps_an_object(s3_server: S3Server) -> None:
    client = Minio(s3_server.endpoint, s3_server.access_key, s3_server.secret_key, secure=False, region="us-east-1")
    bucket = f"kit-{uuid.uuid4().hex}"
    client.make_bucket(bucket)
    client.put_object(bucket, "a", io.BytesIO(b"yard"), 4)
    assert client.stat_object(bucket, "a").size == 4


async def test_nats_acknowledges_a_message(nats_server: RunningNats) -> None:
    inbox = inbox_prefix(OPERATOR).encode()
    password = nats_server.passwords[OPERATOR]
    connection = await nats.connect(nats_server.url, user=OPERATOR, password=password, inbox_prefix=inbox)
    stream = uuid.uuid4().hex
    await connection.jetstream().add_stream(name=stream, subjects=[stream])
    assert (await connection.jetstream().publish(stream, b"yard")).seq == 1
    await connection.jetstream().delete_stream(stream)
    await connection.close()


async def test_mongo_wire_keeps_databases_apart(mongo_uri: str) -> None:
    client: AsyncIOMotorClient[dict[str, object]] = AsyncIOMotorClient(mongo_uri)
    one, other = client[f"kit_{uuid.uuid4().hex}"], client[f"kit_{uuid.uuid4().hex}"]
    await one["things"].insert_one({"_id": "a", "n": 1})
    assert await one["things"].find_one({"_id": "a"}) == {"_id": "a", "n": 1}
    assert await other["things"].find_one({"_id": "a"}) is None
    client.close()
