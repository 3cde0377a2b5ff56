"""How a container image is named, and which registries may be asked about one. Used by the fetch job.

The grammar is that of container tools: `[registry[:port]/]repository[:tag][@sha256:digest]`, where a first part without
a dot, a colon or the name `localhost` belongs to the repository and the registry is docker.io.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from modelyard_import.domain.sources import PROJECT
from modelyard_import.errors import ImageRefused

DOCKER_HUB: Final = "docker.io"
_HUB_NAMES: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_HUB_API: Final = "registry-1.docker.io"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")  # fmt: skip # noqa: E501 - read as one
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_NAME: Final = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """`registry` is `host[:port]`; without a digest the tag is what is asked for."""

    registry: str
    repository: str
    tag: str
    digest: str | None = None

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def wanted(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}" if self.digest else f"{self.name}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Raises ImageRefused, naming the rule."""

    def refused(message: str, rule: str) -> ImageRefused:
        return ImageRefused(f"image {text[:300]!r}: {message}", rule=rule)

    if "://" in text:
        raise refused("a reference has no scheme", "registry/repository:tag, without https://")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise refused("the digest is not sha256", "@sha256: and 64 hexadecimal digits")
    registry, repository = _split(rest)
    repository, colon, tag = repository.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise refused("the tag is wrong", "a tag has at most 128 letters, digits, '_', '.' and '-'")
    if not _HOST.fullmatch(registry):
        raise refused("the registry's name is wrong", "host or host:port")
    if not _REPOSITORY.fullmatch(repository) or len(f"{registry}/{repository}") > _MOST_NAME:
        rule = "lower-case letters and digits, separated by '.', '_', '-' and '/', at most 255 characters"
        raise refused("the repository's name is wrong", rule)
    return Reference(registry.lower(), repository, tag or "latest", digest or None)


def _split(rest: str) -> tuple[str, str]:
    first, slash, more = rest.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first != first.lower()):
        first, more = DOCKER_HUB, rest
    if first.lower() in _HUB_NAMES:
        return DOCKER_HUB, more if "/" in more else f"library/{more}"
    return first, more


@dataclass(frozen=True, slots=True)
class Registries:
    """What the operator opened: `host[:port]`, or with a folder of repositories (`ghcr.io/team`, `…/{project}`)."""

    entries: tuple[str, ...]

    @property
    def hosts(self) -> frozenset[str]:
        return frozenset(entry.partition("/")[0].lower() for entry in self.entries)

    def allow(self, reference: Reference, project: str) -> None:
        """Raises ImageRefused. Nothing is asked of a registry before."""
        for entry in self.entries:
            host, _, folder = entry.replace(PROJECT, project).strip("/").partition("/")
            inside = not folder or f"{reference.repository}/".startswith(f"{folder}/")
            if host.lower() == reference.registry and inside:
                return
        message = f"{reference.name} lies in no registry that is open for imports"
        raise ImageRefused(message, rule=f"one of {', '.join(self.entries) or '(none)'}")


def is_loopback(host: str) -> bool:
    """`host` without its port."""
    name = host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_address(host: str) -> bool:
    """Whether it is a number and no name; `host` without its port."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def host_of(registry: str) -> str:
    """Without the port."""
    return re.sub(r":[0-9]+$", "", registry)


def base_url(registry: str) -> str:
    """Plain HTTP only for this machine itself, as container tools do it."""
    host = _HUB_API if registry == DOCKER_HUB else registry
    return f"{'http' if is_loopback(host_of(registry)) else 'https'}://{host}"
