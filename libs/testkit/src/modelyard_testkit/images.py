"""Small container images, as a registry keeps them: blobs, a manifest, an index. No layer holds anything."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx

Kind = Literal["oci", "docker"]
MANIFEST: Final = {
    "oci": "application/vnd.oci.image.manifest.v1+json",
    "docker": "application/vnd.docker.distribution.manifest.v2+json",
}
INDEX: Final = {
    "oci": "application/vnd.oci.image.index.v1+json",
    "docker": "application/vnd.docker.distribution.manifest.list.v2+json",
}
CONFIG: Final = {
    "oci": "application/vnd.oci.image.config.v1+json",
    "docker": "application/vnd.docker.container.image.v1+json",
}
LAYER: Final = {
    "oci": "application/vnd.oci.image.layer.v1.tar+gzip",
    "docker": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
SERVED: Final[Mapping[str, Any]] = {
    "User": "1000",
    "ExposedPorts": {"8080/tcp": {}},
    "Entrypoint": ["/app/serve"],
    "Cmd": ["--port", "8080"],
    "Labels": {"org.opencontainers.image.title": "digits"},
}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Built:
    """`manifest` is an image's or, with `parts`, an index over images. `size`: layers and configuration, in bytes."""

    manifest: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    parts: tuple["Built", ...] = field(default=())
    size: int = 0

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def image(
    platform: str = "linux/amd64", run: Mapping[str, Any] = SERVED, *, kind: Kind = "oci", layers: Sequence[bytes] = ()
) -> Built:
    layers = tuple(layers) or (f"layer of {platform}".encode(),)
    os, architecture, *variant = platform.split("/")
    about = {"os": os, "architecture": architecture, "created": "2026-01-02T03:04:05Z", "config": run}
    about |= {"variant": variant[0]} if variant else {}
    about["rootfs"] = {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]}
    config = json.dumps(about).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST[kind],
        "config": _descriptor(config, CONFIG[kind]),
        "layers": [_descriptor(layer, LAYER[kind]) for layer in layers],
    }
    size = len(config) + sum(map(len, layers))
    return Built(json.dumps(document).encode(), MANIFEST[kind], (config, *layers), size=size)


def index(images: Mapping[str, Built], kind: Kind = "oci") -> Built:
    """By platform. As builders do, it also names an attestation that belongs to no platform."""
    entries = [_descriptor(built.manifest, built.media_type) | {"platform": _platform(name)} for name, built in images.items()]  # fmt: skip # noqa: E501 - read as one
    document = {"schemaVersion": 2, "mediaType": INDEX[kind], "manifests": entries}
    return Built(json.dumps(document).encode(), INDEX[kind], parts=tuple(images.values()))


def push(url: str, repository: str, tag: str, built: Built, auth: httpx.Auth | None = None) -> None:
    """Into any registry, over its own API. Raises httpx.HTTPStatusError."""
    with httpx.Client(auth=auth, trust_env=False, timeout=10) as http:
        _push(http, f"{url}/v2/{repository}", tag, built)


def _push(http: httpx.Client, place: str, tag: str, built: Built) -> None:
    for part in built.parts:
        _push(http, place, part.digest, part)
    for blob in built.blobs:
        started = http.post(f"{place}/blobs/uploads/").raise_for_status()
        there = httpx.URL(place).join(started.headers["location"]).copy_add_param("digest", digest_of(blob))
        http.put(there, content=blob, headers={"Content-Type": "application/octet-stream"}).raise_for_status()
    typed = {"Content-Type": built.media_type}
    http.put(f"{place}/manifests/{tag}", content=built.manifest, headers=typed).raise_for_status()


def _descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _platform(name: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), name.split("/"), strict=False))
