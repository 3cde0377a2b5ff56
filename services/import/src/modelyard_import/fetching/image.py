"""A model that is a container image: its config.json, and what the registry says of the image. Called by `bring`.

The artifact holds two small files, `model/config.json` and `model/image.json`; the image stays where it is, pinned to
the digest that its tag had during the import.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import httpx

from modelyard_contracts.failures import Problem
from modelyard_contracts.shapes import ContainerImage, Finding, ImageSource, Inspection, ScanReport, Signature, Source
from modelyard_formats.errors import CONFIG_FILE, refusal
from modelyard_formats.package.check import PackageReport
from modelyard_formats.package.config_file import read_config
from modelyard_formats.package.listing import MAX_CONFIG
from modelyard_import.domain.images import Reference, Registries, parse_reference
from modelyard_import.domain.imports import Import
from modelyard_import.domain.layout import Layout, WrittenFile
from modelyard_import.domain.sources import Places, allowed
from modelyard_import.errors import ImageRefused, ImageTooLarge, PackageTooLarge, SourceRefused
from modelyard_import.fetching.declaring import merged
from modelyard_import.fetching.listing import IMAGE, Package, read_config_file
from modelyard_import.fetching.notes import Notes
from modelyard_import.fetching.registry import Registry
from modelyard_import.fetching.registry_auth import Login
from modelyard_import.fetching.registry_documents import (
    ACCEPT,
    CONFIGS,
    Configuration,
    Document,
    Platform,
    choose,
    platform_of,
    read_configuration,
    read_document,
)
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.objects import Objects

IMAGE_FILE: Final = "model/image.json"
FORMAT: Final = "image"
USUAL_PLATFORM: Final = "linux/amd64"
PORT: Final = 8080
_MOST_TEXT: Final = 1_000
_MOST_ITEMS: Final = 100


@dataclass(frozen=True, slots=True)
class Images:
    """`logins` by registry; `max_bytes` of all layers, compressed."""

    objects: Objects
    http: httpx.AsyncClient
    registries: Registries
    logins: Mapping[str, Login]
    max_bytes: int

    async def package_of(self, job: Import, source: ImageSource, places: Places) -> Package:
        """The config.json that came with the request or lies in a bucket. Raises Failure."""
        text = merged(await self._config_text(job, source, places), job.declared.config)
        config, problems, _ = await asyncio.to_thread(read_config, text)
        if not problems and config and config.model_type != IMAGE:
            message = f"{CONFIG_FILE}: model_type: {config.model_type}, but the source is a container image"
            problems = (Problem(message=message, file=CONFIG_FILE, field="model_type", rule=f"model_type {IMAGE}"),)
        if problems or config is None:
            raise refusal(problems)
        return Package(Layout((), written=(WrittenFile(CONFIG_FILE, text),)), config)

    async def _config_text(self, job: Import, source: ImageSource, places: Places) -> bytes:
        if source.config_location is None:
            text = json.dumps(source.config or {}, ensure_ascii=False, indent=2).encode(errors="surrogatepass")
            if len(text) > MAX_CONFIG:
                raise PackageTooLarge(f"config.json has {len(text)} bytes", rule=f"at most {MAX_CONFIG} bytes")
            return text
        field = "source.config_location"
        bucket = job.destination.bucket
        place = allowed(source.config_location, job.project, places=places, artifacts_bucket=bucket, field=field)
        try:
            key = safe_key(place.prefix, source.config_file)
        except UnsafeKey as error:
            raise SourceRefused(str(error), rule="a plain path", field="source.config_file") from error
        return await read_config_file(self.objects, place.bucket, key)

    async def resolved(self, job: Import, package: Package, notes: Notes) -> Package:
        """With the image's description, and the file that keeps it. Raises Failure, and RegistryAway."""
        reference, requested, platform = _asked(package, job.source)
        try:
            self.registries.allow(reference, job.project)
            image = await self.find(reference, requested, platform_of(platform))
        except ImageRefused as refused:
            raise refused if isinstance(job.source, ImageSource) else _in_config(refused) from refused
        notes.log(f"{requested} is {image.digest} for {image.platform}, {image.size} bytes compressed")
        findings = tuple(_findings(image))
        notes.scan = ScanReport(scanners={"image-config": "1"}, files=2, read=2, findings=findings)
        for finding in findings:
            notes.log(f"{finding.severity}: {finding.message}")
        signature = Signature(inputs=(), outputs=())
        inspection = Inspection(format=FORMAT, signature=signature, producer=image.labels.get(_TITLE, ""), image=image)
        report = PackageReport(
            format=FORMAT, model_files=(IMAGE_FILE,), config=package.config, inspection=inspection, scan=notes.scan
        )
        text = image.model_dump_json(indent=2).encode()
        layout = replace(package.layout, written=(*package.layout.written, WrittenFile(IMAGE_FILE, text)))
        return replace(package, layout=layout, image=report)

    async def find(self, reference: Reference, requested: str, platform: Platform) -> ContainerImage:
        """Ask the registry. Raises ImageRefused, ImageTooLarge and RegistryAway."""
        login = self.logins.get(reference.registry)
        registry = Registry(self.http, reference, login, self.registries.hosts)
        shown = str(reference)
        answer = await registry.manifest(reference.wanted, ACCEPT)
        document = read_document(answer.data, shown)
        if document.manifests is not None:
            answer = await registry.manifest(choose(document.manifests, platform, shown).digest, ACCEPT)
            document = read_document(answer.data, shown)
        if document.config is None or document.config.mediaType not in CONFIGS:
            kind = document.config.mediaType if document.config else "an index in an index"
            raise ImageRefused(f"{shown} is not a container image but {kind!r}", rule=f"one of {', '.join(CONFIGS)}")
        size = self._size(document, shown)
        configuration = read_configuration(await registry.blob(document.config.digest), shown)
        if not configuration.serves(platform):
            message = f"{shown} is for {configuration}, not for {platform}"
            raise ImageRefused(message, rule=f"an image for {platform}", field="source.platform")
        return _described(reference, requested, answer.digest, size, configuration)

    def _size(self, document: Document, shown: str) -> int:
        size = sum(layer.size for layer in document.layers or ()) + (document.config.size if document.config else 0)
        if size > self.max_bytes:
            message = f"{shown} has {size} bytes of compressed layers"
            raise ImageTooLarge(message, rule=f"at most {self.max_bytes} bytes")
        return size


_TITLE: Final = "org.opencontainers.image.title"


def _asked(package: Package, source: Source) -> tuple[Reference, str, str]:
    """Reference, the text it was given as, and the platform. Raises ImageRefused."""
    location = package.config.swr_location
    if isinstance(source, ImageSource):
        reference = parse_reference(source.reference)
        if location is not None and parse_reference(location) != reference:
            message = f"{CONFIG_FILE}: swr_location: {location[:300]!r} is another image than {source.reference!r}"
            raise ImageRefused(message, field="swr_location", rule="the image that is imported", file=CONFIG_FILE)
        return reference, source.reference, source.platform
    if location is None:
        message = f"{CONFIG_FILE}: swr_location is missing: it says where the image lies"
        raise ImageRefused(message, field="swr_location", rule="required for model_type Image", file=CONFIG_FILE)
    try:
        return parse_reference(location), location, USUAL_PLATFORM
    except ImageRefused as refused:
        raise _in_config(refused) from refused


def _in_config(refused: ImageRefused) -> ImageRefused:
    """The same, said of the field that names the image in a package."""
    rule = refused.problems[0].rule or ""
    return ImageRefused(
        f"{CONFIG_FILE}: swr_location: {refused.message}", field="swr_location", rule=rule, file=CONFIG_FILE
    )


def _described(
    reference: Reference, requested: str, digest: str, size: int, configuration: Configuration
) -> ContainerImage:
    """Texts and lists are cut where they are absurdly long: this travels in an event."""
    run = configuration.config
    labels = sorted(((run.Labels if run else None) or {}).items())[:_MOST_ITEMS]
    return ContainerImage(
        reference=f"{reference.name}@{digest}",
        requested=requested,
        digest=digest,
        platform=str(configuration),
        size=size,
        ports=_cut(sorted((run.ExposedPorts if run else None) or {})),
        labels={name[:_MOST_TEXT]: value[:_MOST_TEXT] for name, value in labels},
        entrypoint=_cut((run.Entrypoint if run else None) or []),
        command=_cut((run.Cmd if run else None) or []),
        user=((run.User if run else None) or "")[:_MOST_TEXT],
        created=(configuration.created or "")[:_MOST_TEXT],
    )


def _cut(texts: list[str]) -> tuple[str, ...]:
    return tuple(text[:_MOST_TEXT] for text in texts[:_MOST_ITEMS])


def _findings(image: ContainerImage) -> list[Finding]:
    if not image.ports:
        text = f"the image declares no port; it has to answer on port {PORT}"
        return [Finding(file=IMAGE_FILE, severity="info", rule="image-port", message=text)]
    if any(port.partition("/")[0] == str(PORT) for port in image.ports):
        return []
    text = f"the image declares {', '.join(image.ports[:10])}, but has to answer on port {PORT}"
    return [Finding(file=IMAGE_FILE, severity="suspicious", rule="image-port", message=text)]
