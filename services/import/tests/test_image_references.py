"""Names of images, which registries they may name, and where credentials may go: pure decisions."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard_import.domain.images import Reference, Registries, base_url, parse_reference
from modelyard_import.errors import ImageRefused
from modelyard_import.fetching.registry_auth import challenges, may_ask, may_follow, token_url

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("ubuntu", "docker.io", "library/ubuntu", "latest", None),
        ("ubuntu:20.04", "docker.io", "library/ubuntu", "20.04", None),
        ("team/app", "docker.io", "team/app", "latest", None),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", "latest", None),
        ("index.docker.io/team/app:1", "docker.io", "team/app", "1", None),
        ("ghcr.io/a/b/c:1.0", "ghcr.io", "a/b/c", "1.0", None),
        ("localhost/app", "localhost", "app", "latest", None),
        ("localhost:5000/app:1", "localhost:5000", "app", "1", None),
        ("[::1]:5000/app", "[::1]:5000", "app", "latest", None),
        (f"quay.io/a/b@{DIGEST}", "quay.io", "a/b", "latest", DIGEST),
        (f"quay.io/a/b:1@{DIGEST}", "quay.io", "a/b", "1", DIGEST),
        ("GHCR.io/a/b", "ghcr.io", "a/b", "latest", None),
    ],
)
def test_references(text: str, registry: str, repository: str, tag: str, digest: str | None) -> None:
    assert parse_reference(text) == Reference(registry, repository, tag, digest)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://ghcr.io/a/b", "no scheme"),
        ("ghcr.io/a/b@md5:123", "digest is not sha256"),
        ("ghcr.io/a/b@", "digest is not sha256"),
        ("ghcr.io/a/b:", "tag is wrong"),
        ("ghcr.io/a/b:-x", "tag is wrong"),
        (f"ghcr.io/a/b:{'x' * 129}", "tag is wrong"),
        ("ghcr.io/A/b", "repository's name is wrong"),
        ("ghcr.io/", "repository's name is wrong"),
        ("ghcr.io/a//b", "repository's name is wrong"),
        ("ghcr.io/../b", "repository's name is wrong"),
        ("a b", "repository's name is wrong"),
        ("", "repository's name is wrong"),
        (f"ghcr.io/{'a' * 260}", "repository's name is wrong"),
        ("user:pw@ghcr.io/a", "digest is not sha256"),
        ("-.io/a", "registry's name is wrong"),
        ("ghcr.io?x=/a", "registry's name is wrong"),
    ],
)
def test_bad_references(text: str, words: str) -> None:
    with pytest.raises(ImageRefused, match=words) as refused:
        parse_reference(text)
    [problem] = refused.value.problems
    assert (refused.value.code, problem.field) == ("ModelArts.3017", "source.reference")
    assert problem.rule


@given(st.text(max_size=500))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        found = parse_reference(text)
    except ImageRefused:
        return
    assert parse_reference(str(found)) == Reference(found.registry, found.repository, found.tag if not found.digest else "latest", found.digest)  # fmt: skip # noqa: E501
    assert httpx.URL(f"{base_url(found.registry)}/v2/{found.repository}/manifests/{found.wanted}").host


REGISTRIES = Registries(("docker.io", "ghcr.io/team", "registry.example:5000/models/{project}", "127.0.0.1:5000"))


@pytest.mark.parametrize(
    "text", ["ubuntu", "ghcr.io/team/a", "ghcr.io/team", "registry.example:5000/models/mine/a", "127.0.0.1:5000/a"]
)
def test_listed_registries(text: str) -> None:
    REGISTRIES.allow(parse_reference(text), "mine")


@pytest.mark.parametrize(
    "text",
    ["quay.io/a/b", "ghcr.io/teams/a", "ghcr.io/a", "registry.example/models/mine/a", "localhost:5000/a",
     "registry.example:5000/models/theirs/a", "127.0.0.1:5001/a", "169.254.169.254/latest", "127.0.0.1/a"],
)  # fmt: skip
def test_other_registries_are_not_asked(text: str) -> None:
    with pytest.raises(ImageRefused, match="no registry that is open for imports"):
        REGISTRIES.allow(parse_reference(text), "mine")


def test_only_this_machine_speaks_plain_http() -> None:
    assert base_url("docker.io") == "https://registry-1.docker.io"
    assert base_url("registry.example:5000") == "https://registry.example:5000"
    assert [base_url(host) for host in ("localhost:1", "127.0.0.1:1", "[::1]:1")] == [
        "http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1",
    ]  # fmt: skip


def test_challenges() -> None:
    header = 'Basic realm="a, b", Bearer realm="https://auth.x/token",service="x",scope="repository:a/b:pull,push"'
    basic, bearer = challenges(header)
    assert (basic.scheme, basic.parameters["realm"]) == ("basic", "a, b")
    assert bearer.parameters == {"realm": "https://auth.x/token", "service": "x", "scope": "repository:a/b:pull,push"}
    assert challenges("Negotiate") == ()
    assert challenges("") == ()
    assert challenges("bearer " + "a=" * 50_000)


HUB, LOCAL = parse_reference("ubuntu"), parse_reference("127.0.0.1:5000/a")


@pytest.mark.parametrize(
    ("reference", "url", "asked"),
    [
        (HUB, "https://auth.docker.io/token", True),
        (HUB, "https://registry-1.docker.io/token", True),
        (HUB, "https://tokens.example/token", True),  # listed
        (HUB, "https://auth.example/token", False),
        (HUB, "http://auth.docker.io/token", False),
        (HUB, "https://169.254.169.254/token", False),
        (HUB, "http://127.0.0.1:5000/token", False),
        (HUB, "https://user:pw@auth.docker.io/token", False),
        (HUB, "file:///etc/passwd", False),
        (HUB, "/token", False),
        (HUB, "", False),
        (LOCAL, "http://127.0.0.1:5000/token", True),
        (LOCAL, "http://127.0.0.1:5001/token", True),  # listed
        (LOCAL, "http://127.0.0.1:5002/token", False),
    ],
)
def test_where_credentials_may_go(reference: Reference, url: str, asked: bool) -> None:
    assert may_ask(httpx.URL(url), reference, frozenset({"tokens.example", "127.0.0.1:5001"})) is asked


@pytest.mark.parametrize(
    ("reference", "url", "followed"),
    [
        (HUB, "https://production.cloudflare.docker.com/blob?sig=1", True),
        (HUB, "https://blobs.anywhere.example/x", True),
        (HUB, "http://blobs.anywhere.example/x", False),
        (HUB, "https://10.0.0.1/x", False),
        (HUB, "https://[::1]/x", False),
        (HUB, "https://localhost/x", False),
        (HUB, "https://metadata.google.internal/x", False),
        (HUB, "ftp://a.example/x", False),
        (LOCAL, "http://127.0.0.1:9000/x", True),
        (LOCAL, "https://blobs.anywhere.example/x", False),
    ],
)
def test_where_a_redirect_may_lead(reference: Reference, url: str, followed: bool) -> None:
    assert may_follow(httpx.URL(url), reference) is followed


def test_a_token_server_elsewhere_is_refused_by_name() -> None:
    [bearer] = challenges('Bearer realm="https://evil.example/token",service="x"')
    with pytest.raises(ImageRefused, match=r"docker\.io names 'https://evil\.example/token'"):
        token_url(bearer, HUB, frozenset())


def test_a_token_is_asked_for_what_the_registry_says() -> None:
    [bearer] = challenges('Bearer realm="https://auth.docker.io/token?a=1",service="registry.docker.io"')
    url = token_url(bearer, HUB, frozenset())
    assert dict(url.params) == {"a": "1", "service": "registry.docker.io", "scope": "repository:library/ubuntu:pull"}
