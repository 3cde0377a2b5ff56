"""Container images as a source: what comes in, and every way in which a registry can fail."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from modelyard_bus.consume import Retry
from modelyard_bus.handling import Delivery, handling
from modelyard_contracts.catalogue import IMPORT_FAILED, IMPORT_SUCCEEDED
from modelyard_contracts.events import ImportFailed, ImportSucceeded
from modelyard_contracts.shapes import ContainerImage, ImageSource, Location
from modelyard_import.domain.images import Registries
from modelyard_import.domain.imports import Import, view
from modelyard_import.fetching.registry_auth import Login
from modelyard_testkit import images
from modelyard_testkit.registry import TOKEN, Answer, RegistryDouble, registry_double

from .conftest import Yard

pytestmark = pytest.mark.servers

CONFIG = {"model_algorithm": "image_classification", "model_type": "Image"}
BUILT = images.image()


@pytest.fixture
def registry(yard: Yard) -> Iterator[RegistryDouble]:
    with registry_double() as double:
        yard.registries = Registries((double.host,))
        images.push(double.url, "team/app", "1.0", BUILT)
        double.asked.clear()
        yield double


def source(registry: RegistryDouble, name: str = "team/app:1.0", **more: Any) -> ImageSource:
    return ImageSource(reference=f"{registry.host}/{name}", **({"config": CONFIG} | more))


async def assert_refused(yard: Yard, done: Import, *words: str, code: str = "ModelArts.3017") -> ImportFailed:
    assert (done.state, done.code) == ("failed", code), done.reason
    text = " ".join(
        [done.reason or "", *(f"{problem.message} {problem.field} {problem.rule}" for problem in done.problems)]
    )
    assert all(word in text for word in words), text
    assert await yard.keys_of(done) == []
    [fact] = [message for message in await yard.said() if message.type == IMPORT_FAILED.subject]
    return ImportFailed.model_validate(fact.data)


async def test_an_image_comes_in_pinned(yard: Yard, registry: RegistryDouble) -> None:
    done = await yard.bring_in(source(registry))
    assert done.state == "succeeded", done.reason
    assert await yard.keys_of(done) == ["1/model/config.json", "1/model/image.json"]
    [said] = [message for message in await yard.said() if message.type == IMPORT_SUCCEEDED.subject]
    fact = ImportSucceeded.model_validate(said.data)
    assert (fact.artifact.format, fact.config.model_type, fact.artifact.by_reference) == ("image", "Image", False)
    image = fact.artifact.inspection.image
    assert image is not None
    assert (image.digest, image.size) == (BUILT.digest, BUILT.size)
    assert image.reference == f"{registry.host}/team/app@{BUILT.digest}"
    place = fact.artifact.location
    kept = {
        file.path: await yard.objects.read(place.bucket, place.prefix + file.path, 1 << 20)
        for file in fact.artifact.files
    }
    assert ContainerImage.model_validate_json(kept["model/image.json"]) == image
    assert json.loads(kept["model/config.json"]) == CONFIG
    for file in fact.artifact.files:
        assert await yard.objects.digest(place.bucket, place.prefix + file.path) == (file.sha256, file.size)
    assert fact.scan is not None
    assert fact.scan.findings == ()
    assert not any("layer" in blob.decode(errors="replace") for blob in kept.values())
    assert [path for _, path, _ in registry.asked if "/blobs/" in path] == [
        f"/v2/team/app/blobs/{images.digest_of(BUILT.blobs[0])}"
    ]
    assert view(done).copied_bytes == view(done).total_bytes == fact.artifact.size


async def test_a_config_that_lies_in_a_bucket(yard: Yard, registry: RegistryDouble) -> None:
    place = Location(bucket=yard.buckets["training"], prefix="configs/")
    await yard.objects.put(place.bucket, "configs/image.json", json.dumps(CONFIG).encode())
    done = await yard.bring_in(source(registry, config=None, config_location=place, config_file="image.json"))
    assert done.state == "succeeded", done.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"config_file": "gone.json"}, ["configs/gone.json", "does not exist"]),
        ({"config_file": "../x.json"}, ["source.config_file"]),
        ({"config_location": Location(bucket="nobodys", prefix="a/")}, ["nobodys", "source.config_location.bucket"]),
    ],
)
async def test_a_config_that_cannot_be_read(
    yard: Yard, registry: RegistryDouble, change: Any, words: list[str]
) -> None:
    place = Location(bucket=yard.buckets["training"], prefix="configs/")
    done = await yard.bring_in(source(registry, **({"config": None, "config_location": place} | change)))
    await assert_refused(yard, done, *words)
    assert registry.asked == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, ["model_algorithm", "model_type"]),
        (CONFIG | {"model_type": "ONNX"}, ["model_type", "container image"]),
        (CONFIG | {"surprise": 1}, ["surprise"]),
    ],
)
async def test_a_wrong_config_is_refused_before_the_registry_is_asked(
    yard: Yard, registry: RegistryDouble, config: Any, words: list[str]
) -> None:
    await assert_refused(yard, await yard.bring_in(source(registry, config=config)), *words, code="ModelArts.3016")
    assert registry.asked == []


async def test_a_package_in_storage_names_its_image(yard: Yard, registry: RegistryDouble) -> None:
    place = Location(bucket=yard.buckets["training"], prefix="app/")
    text = json.dumps(CONFIG | {"swr_location": f"{registry.host}/team/app:1.0"})
    await yard.objects.put(place.bucket, "app/model/config.json", text.encode())
    done = await yard.bring_in(place)
    assert done.state == "succeeded", done.reason
    assert await yard.keys_of(done) == ["1/model/config.json", "1/model/image.json"]
    assert done.artifact is not None
    assert done.artifact.inspection.image is not None
    assert done.artifact.inspection.image.digest == BUILT.digest


@pytest.mark.parametrize(
    ("more", "beside", "words"),
    [
        ({}, {}, ["swr_location is missing"]),
        ({"swr_location": "https://x/y"}, {}, ["swr_location", "no scheme"]),
        ({"swr_location": "elsewhere.example/a/b:1"}, {}, ["swr_location", "no registry that is open"]),
        ({"swr_location": "HERE/team/app:9"}, {}, ["swr_location", "has no image team/app:9"]),
        ({"swr_location": "HERE/team/app:1.0"}, {"model.onnx": b"x"}, ["model/model.onnx", "beside an image"]),
    ],
)
async def test_a_package_that_does_not_name_its_image_well(
    yard: Yard, registry: RegistryDouble, more: Any, beside: dict[str, bytes], words: list[str]
) -> None:
    place = Location(bucket=yard.buckets["training"], prefix="app/")
    text = json.dumps(CONFIG | more).replace("HERE", registry.host)
    for name, data in ({"config.json": text.encode()} | beside).items():
        await yard.objects.put(place.bucket, f"app/model/{name}", data)
    fact = await assert_refused(yard, await yard.bring_in(place), *words)
    assert all(problem["file"] for problem in fact.problems)


async def test_another_image_in_the_config(yard: Yard, registry: RegistryDouble) -> None:
    config = CONFIG | {"swr_location": f"{registry.host}/team/other:1.0"}
    await assert_refused(yard, await yard.bring_in(source(registry, config=config)), "swr_location", "another image")


async def test_ports_are_looked_at(yard: Yard, registry: RegistryDouble) -> None:
    images.push(registry.url, "team/app", "other", images.image(run={"ExposedPorts": {"9000/tcp": {}}}))
    images.push(registry.url, "team/app", "none", images.image(run={}))
    found = {}
    for tag in ("other", "none"):
        scan = (await yard.bring_in(source(registry, f"team/app:{tag}"))).scan
        assert scan is not None
        found[tag] = scan.findings
    assert [(each.severity, each.rule) for each in found["other"]] == [("suspicious", "image-port")]
    assert [(each.severity, each.rule) for each in found["none"]] == [("info", "image-port")]


async def test_with_a_token(yard: Yard, registry: RegistryDouble) -> None:
    registry.wants, registry.users, yard.logins = "token", {"yard": "secret"}, {registry.host: Login("yard", "secret")}
    done = await yard.bring_in(source(registry))
    assert done.state == "succeeded", done.reason
    sent = {path.partition("?")[0]: authorization for _, path, authorization in registry.asked}
    assert sent["/token"] == "Basic eWFyZDpzZWNyZXQ="
    assert sent["/v2/team/app/manifests/1.0"] == f"Bearer {TOKEN}"
    assert "secret" not in str(view(done))
    assert TOKEN not in str(view(done))


@pytest.mark.parametrize(
    ("path", "answer", "words"),
    [
        ("/token", Answer(401), ["refused a token", "401"]),
        ("/token", Answer(403), ["refused a token", "403"]),
        ("/token", Answer(200, b"<html>"), ["tokens that cannot be read"]),
        ("/token", Answer(200, b'{"token": "a\\r\\nb"}'), ["tokens that cannot be read"]),
        ("/token", Answer(200, b"{}"), ["tokens that cannot be read"]),
    ],
)
async def test_a_token_that_is_refused(
    yard: Yard, registry: RegistryDouble, path: str, answer: Answer, words: list[str]
) -> None:
    registry.wants, registry.failures = "token", {path: answer}
    await assert_refused(yard, await yard.bring_in(source(registry)), registry.host, *words)


async def test_a_token_that_is_not_enough(yard: Yard, registry: RegistryDouble) -> None:
    registry.wants, registry.mint = "token", lambda scope: "another"
    await assert_refused(yard, await yard.bring_in(source(registry)), registry.host, "does not let", "401")


async def test_a_token_server_that_is_not_listed(yard: Yard, registry: RegistryDouble) -> None:
    with registry_double() as other:
        registry.wants, registry.realm = "token", f"{other.url}/token"
        await assert_refused(yard, await yard.bring_in(source(registry)), registry.host, other.host, "token server")
        assert other.asked == []


async def test_a_password_that_nobody_has(yard: Yard, registry: RegistryDouble) -> None:
    registry.wants = "basic"
    await assert_refused(yard, await yard.bring_in(source(registry)), registry.host, "user name and a password")


MANIFEST = "/v2/team/app/manifests/1.0"
ZIPPED = Answer(200, b"{}", {"Content-Encoding": "gzip"})
SCHEMA_1 = Answer(200, b'{"schemaVersion": 1, "fsLayers": []}')
CHART = Answer(200, BUILT.manifest.replace(b"vnd.oci.image.config", b"vnd.cncf.helm.config"))
OTHER = Answer(200, BUILT.manifest, {"Docker-Content-Digest": f"sha256:{'1' * 64}"})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SCHEMA_1, ["schema 1"]),
        (CHART, ["not a container image", "helm"]),
        (OTHER, ["gave sha256", "1111"]),
        (Answer(200, b"{}"), ["not a container image"]),
        (Answer(200, b"<html>"), ["cannot be read"]),
        (Answer(200, b"[" * 100_000), ["cannot be read"]),
        (Answer(200, b'{"schemaVersion": 2, "manifests": [{"size": -1, "digest": "x"}]}'), ["cannot be read"]),
        (Answer(200, b'{"schemaVersion": 2, "manifests": []}'), ["no image for linux/amd64", "none"]),
        (Answer(200, b" " * (5 << 20)), ["more than 4194304 bytes"]),
        (ZIPPED, ["compressed"]),
        (Answer(400), ["answers 400"]),
        (Answer(403), ["does not let"]),
        (Answer(302, headers={"Location": "https://169.254.169.254/latest/meta-data"}), ["redirects to", "169.254"]),
        (Answer(302, headers={"Location": "file:///etc/passwd"}), ["redirects to"]),
        (Answer(302, headers={"Location": "http://[broken"}), ["redirects to"]),
        (Answer(307, headers={"Location": MANIFEST}), ["redirects without end"]),
    ],
)
async def test_what_a_registry_may_not_answer(
    yard: Yard, registry: RegistryDouble, answer: Answer, words: list[str]
) -> None:
    registry.failures[MANIFEST] = answer
    await assert_refused(yard, await yard.bring_in(source(registry)), *words)


async def test_a_configuration_with_another_digest(yard: Yard, registry: RegistryDouble) -> None:
    registry.failures["/v2/team/app/blobs/"] = Answer(200, b"{}")
    await assert_refused(yard, await yard.bring_in(source(registry)), registry.host, "for sha256:")


async def test_blobs_that_lie_elsewhere_are_fetched_without_credentials(yard: Yard, registry: RegistryDouble) -> None:
    with registry_double() as elsewhere:
        registry.wants = "token"
        registry.failures["/v2/team/app/blobs/"] = Answer(307, headers={"Location": f"{elsewhere.url}/config?signed=1"})
        elsewhere.failures["/config"] = Answer(200, BUILT.blobs[0])
        done = await yard.bring_in(source(registry))
    assert done.state == "succeeded", done.reason
    assert elsewhere.asked == [("GET", "/config?signed=1", None)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("team/app:9", ["has no image team/app:9"]),
        (f"team/app@sha256:{'0' * 64}", ["has no image team/app@sha256:000"]),
        ("Team/app", ["repository's name is wrong", "source.reference"]),
    ],
)
async def test_references_that_lead_nowhere(yard: Yard, registry: RegistryDouble, name: str, words: list[str]) -> None:
    await assert_refused(yard, await yard.bring_in(source(registry, name)), *words)


async def test_a_platform_that_the_image_is_not_for(yard: Yard, registry: RegistryDouble) -> None:
    done = await yard.bring_in(source(registry, platform="linux/arm64"))
    await assert_refused(yard, done, "is for linux/amd64, not for linux/arm64", "source.platform")


async def test_a_registry_that_is_not_listed_is_not_asked(yard: Yard, registry: RegistryDouble) -> None:
    yard.registries = Registries(("ghcr.io",))
    await assert_refused(yard, await yard.bring_in(source(registry)), registry.host, "ghcr.io")
    assert registry.asked == []


async def test_an_image_that_is_too_large(yard: Yard, registry: RegistryDouble) -> None:
    yard.max_image_bytes = 10
    done = await yard.bring_in(source(registry))
    await assert_refused(yard, done, f"{BUILT.size} bytes", code="ModelArts.3044")


@pytest.mark.parametrize(
    ("answer", "words", "after"),
    [
        (Answer(503), "fails \\(503\\)", 30),
        (Answer(500), "fails \\(500\\)", None),
        (Answer(429, headers={"Retry-After": "7"}), "no more requests for now \\(429\\)", 7),
        (Answer(429), "429", 30),
        (Answer(429, headers={"Retry-After": "99999"}), "429", 300),
        (Answer(429, headers={"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), "429", 30),
    ],
)
async def test_a_registry_in_trouble_is_asked_again(
    yard: Yard, registry: RegistryDouble, answer: Answer, words: str, after: float | None
) -> None:
    waiting = await yard.wait_for(source(registry))
    registry.failures[MANIFEST] = answer
    with pytest.raises(Retry, match=words) as later:
        await yard.fetcher().fetch(*yard.job(waiting))
    assert later.value.after == after
    registry.failures.clear()
    await yard.fetcher().fetch(*yard.job(waiting))
    assert (await yard.known(waiting.model_id)).state == "succeeded"


async def test_a_registry_that_stays_down_ends_the_import_with_its_name(yard: Yard) -> None:
    with registry_double() as gone:
        pass
    yard.registries = Registries((gone.host,))
    waiting = await yard.wait_for(source(gone))
    with pytest.raises(Retry, match=f"registry {gone.host} does not answer"):
        await yard.fetcher().fetch(*yard.job(waiting))
    shown = view(await yard.known(waiting.model_id))
    assert str(shown.waits_for).startswith(f"registry {gone.host} does not answer: ")
    envelope, job = yard.job(waiting)
    with handling(Delivery(envelope, attempt=12, last=True), "import-fetch"):
        await yard.fetcher().fetch(envelope, job)
    done = await yard.known(waiting.model_id)
    await assert_refused(yard, done, "tried 12 times", f"registry {gone.host} does not answer", code="ModelArts.9000")
