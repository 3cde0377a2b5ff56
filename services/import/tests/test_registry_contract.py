"""One suite for every registry: what is pushed over the distribution API is found again, by tag and digest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from modelyard_contracts.shapes import ContainerImage
from modelyard_import.domain.images import Registries, parse_reference
from modelyard_import.errors import ImageRefused
from modelyard_import.fetching.image import Images
from modelyard_import.fetching.registry import registry_http
from modelyard_import.fetching.registry_auth import Login
from modelyard_import.fetching.registry_documents import platform_of
from modelyard_testkit import images
from modelyard_testkit.registry import TOKEN, registry_double

from .import_registries import HTPASSWD, PASSWORD, USER, docker_registry, token_registry

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class Place:
    """A running registry. `pushing` allows a push; `login` is what pulling needs."""

    host: str
    listed: tuple[str, ...] = ()
    login: Login | None = None
    pushing: Callable[[str], httpx.Auth | None] = lambda name: None

    def push(self, name: str, tag: str, built: images.Built) -> None:
        images.push(f"http://{self.host}", name, tag, built, self.pushing(name))

    async def find(self, text: str, platform: str = "linux/amd64", login: Login | None = None) -> ContainerImage:
        login = login or self.login
        registries = Registries((self.host, *self.listed))
        async with registry_http() as http:
            found = Images(None, http, registries, {self.host: login} if login else {}, 10 << 30)  # type: ignore[arg-type]
            return await found.find(parse_reference(text), text, platform_of(platform))


LOGIN = Login(USER, PASSWORD)
BASIC = httpx.BasicAuth(USER, PASSWORD)


@pytest.fixture(scope="module", params=["double", "double-token", "double-basic", "real", "real-basic", "real-token"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kind, folder = request.param, tmp_path_factory.mktemp("registry")
    if kind.startswith("double"):
        with registry_double() as double:
            double.wants = {"double-token": "token", "double-basic": "basic"}.get(kind, "nothing")  # type: ignore[assignment]
            double.users = {USER: PASSWORD} if kind != "double" else {}
            yield Place(double.host, login=LOGIN if double.users else None)
    elif kind == "real-token":
        with token_registry(folder) as (host, server, pushing):
            yield Place(host, (server,), LOGIN, pushing)
    else:
        passwords: Path = folder / "htpasswd"
        passwords.write_text(HTPASSWD)
        auth = {"htpasswd": {"realm": "tests", "path": str(passwords)}} if kind == "real-basic" else {}
        with docker_registry(folder, auth) as host:
            yield Place(host, login=LOGIN if auth else None, pushing=lambda name: BASIC if auth else None)


@pytest.mark.parametrize("kind", ["oci", "docker"])
async def test_an_image_by_tag_and_by_digest(place: Place, kind: images.Kind) -> None:
    built = images.image(kind=kind)
    place.push(f"team/{kind}", "1.0", built)
    found = await place.find(f"{place.host}/team/{kind}:1.0")
    assert found == ContainerImage(
        reference=f"{place.host}/team/{kind}@{built.digest}",
        requested=f"{place.host}/team/{kind}:1.0",
        digest=built.digest,
        platform="linux/amd64",
        size=built.size,
        ports=("8080/tcp",),
        labels={"org.opencontainers.image.title": "digits"},
        entrypoint=("/app/serve",),
        command=("--port", "8080"),
        user="1000",
        created="2026-01-02T03:04:05Z",
    )
    assert (await place.find(found.reference)).digest == built.digest


@pytest.mark.parametrize("kind", ["oci", "docker"])
async def test_an_index_gives_the_platform_that_is_asked_for(place: Place, kind: images.Kind) -> None:
    parts = {
        name: images.image(name, kind=kind)
        for name in ("linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7")
    }
    whole = images.index(parts, kind)
    place.push(f"team/many-{kind}", "2", whole)
    text = f"{place.host}/team/many-{kind}:2"
    assert (await place.find(text, "linux/arm64")).digest == parts["linux/arm64/v8"].digest
    assert (await place.find(text, "linux/arm/v7")).digest == parts["linux/arm/v7"].digest
    pinned = await place.find(f"{place.host}/team/many-{kind}@{whole.digest}")
    assert pinned.digest == parts["linux/amd64"].digest
    with pytest.raises(ImageRefused, match=r"no image for linux/s390x; there are linux/amd64, linux/arm/v6"):
        await place.find(text, "linux/s390x")
    with pytest.raises(ImageRefused, match="several images for linux/arm; there are linux/arm/v6, linux/arm/v7"):
        await place.find(text, "linux/arm")


async def test_a_tag_repository_or_digest_that_is_not_there(place: Place) -> None:
    place.push("team/one", "1.0", images.image())
    for text in ("team/one:9.9", "team/nobody:1.0", f"team/one@sha256:{'0' * 64}"):
        with pytest.raises(ImageRefused, match=f"has no image {text}"):
            await place.find(f"{place.host}/{text}")


async def test_a_wrong_password(place: Place) -> None:
    if place.login is None:
        pytest.skip("this registry speaks to anybody")
    place.push("team/closed", "1.0", images.image())
    with pytest.raises(ImageRefused, match=f"registry {place.host} (refused a token|does not let)") as refused:
        await place.find(f"{place.host}/team/closed:1.0", login=Login(USER, "wrong"))
    assert "wrong" not in str(refused.value)
    assert TOKEN not in str(refused.value)
