"""What a deployment runs once: the buckets are there afterwards, and a refusal is told."""

import pytest

from modelyard_local.servers import S3Server
from modelyard_store import declare
from modelyard_store.objects import Objects, ObjectSettings

pytestmark = pytest.mark.servers


@pytest.fixture
def environment(s3_server: S3Server) -> dict[str, str]:
    return {
        "MODELYARD_S3_ENDPOINT": s3_server.endpoint,
        "MODELYARD_S3_ACCESS_KEY": s3_server.access_key,
        "MODELYARD_S3_SECRET_KEY": s3_server.secret_key,
        "MODELYARD_BUCKETS": "declared-one, declared-two",
    }


async def test_makes_the_buckets_and_does_not_mind_a_second_time(environment: dict[str, str]) -> None:
    for _ in range(2):
        await declare.declare(environment)
    objects = Objects.connect(
        ObjectSettings(
            environment["MODELYARD_S3_ENDPOINT"],
            environment["MODELYARD_S3_ACCESS_KEY"],
            environment["MODELYARD_S3_SECRET_KEY"],
        )
    )
    assert [await objects.check(bucket) for bucket in ("declared-one", "declared-two")] == [None, None]
    await objects.close()


def test_a_refusal_is_told(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**environment, "MODELYARD_S3_SECRET_KEY": "wrong"}.items():
        monkeypatch.setenv(name, value)
    assert declare.main() == 1
    assert "declared-one" in capsys.readouterr().err
