"""What registries keep of an image: index, manifest and configuration, of the OCI and of Docker. Called by `image`.

They come from outside: unknown fields are passed over, everything that is used is checked and bounded.
"""

from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from modelyard_import.errors import ImageRefused

INDEXES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
CONFIGS: Final = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
ACCEPT: Final = ", ".join((*INDEXES, *MANIFESTS))

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=200)]


class Platform(BaseModel):
    os: Text = ""
    architecture: Text = ""
    variant: Text | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def serves(self, wanted: "Platform") -> bool:
        """64-bit ARM is `v8` whether it says so or not."""
        same = (self.os, self.architecture) == (wanted.os, wanted.architecture)
        return same and (wanted.variant is None or _variant(self) == _variant(wanted))


def _variant(platform: Platform) -> str:
    return platform.variant or {"arm64": "v8", "amd64": "v1"}.get(platform.architecture, "")


def platform_of(text: str) -> Platform:
    os, architecture, *variant = text.split("/")
    return Platform(os=os, architecture=architecture, variant=variant[0] if variant else None)


class Layer(BaseModel):
    size: int = Field(ge=0)


class Descriptor(Layer):
    digest: Digest
    mediaType: Text = ""  # noqa: N815 - named by the specification
    platform: Platform | None = None


class Document(BaseModel):
    """An index or a manifest, whichever it turns out to be."""

    schemaVersion: int = 0  # noqa: N815 - named by the specification
    mediaType: Text = ""  # noqa: N815 - named by the specification
    manifests: list[Descriptor] | None = Field(default=None, max_length=2_000)
    config: Descriptor | None = None
    layers: list[Layer] | None = Field(default=None, max_length=10_000)


class Run(BaseModel):
    """How the image is started, in Docker's spelling."""

    User: str | None = None
    ExposedPorts: dict[str, object] | None = None
    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    Labels: dict[str, str] | None = None


class Configuration(Platform):
    created: str | None = None
    config: Run | None = None


def read_document(data: bytes, shown: str) -> Document:
    """Raises ImageRefused."""
    try:
        found = Document.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(shown, "manifest", error) from error
    if found.schemaVersion == 1:
        message = f"{shown} has a manifest of schema 1, which nobody can verify"
        raise ImageRefused(message, rule="an OCI image or Docker schema 2; push it again with a newer tool")
    if found.schemaVersion != 2 or (found.manifests is None and (found.config is None or found.layers is None)):
        message = f"{shown} is not a container image"
        raise ImageRefused(message, rule="an OCI or Docker image manifest or index")
    return found


def read_configuration(data: bytes, shown: str) -> Configuration:
    """Raises ImageRefused."""
    try:
        return Configuration.model_validate_json(data)
    except ValidationError as error:
        raise _unreadable(shown, "configuration", error) from error


def choose(manifests: list[Descriptor], wanted: Platform, shown: str) -> Descriptor:
    """The one for this platform. Raises ImageRefused, naming those there are."""
    found = [each for each in manifests if each.platform is not None and each.platform.serves(wanted)]
    exact = [each for each in found if each.platform is not None and each.platform.variant == wanted.variant]
    if len(chosen := exact or found) == 1:
        return chosen[0]
    there = sorted(
        {str(each.platform) for each in chosen or manifests if each.platform and each.platform.os != "unknown"}
    )
    named = ", ".join(there[:20]) or "none"
    what = "several images" if chosen else "no image"
    raise ImageRefused(
        f"{shown} has {what} for {wanted}; there are {named}", rule=f"one of {named}", field="source.platform"
    )


def _unreadable(shown: str, what: str, error: ValidationError) -> ImageRefused:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:100]
    message = f"{shown} has a {what} that cannot be read: {where}: {first['msg']}"
    return ImageRefused(message[:500], rule="an OCI or Docker image manifest or index")
