"""Places in object storage in every spelling that clients have: `s3://`, `obs://`, `/bucket/…` and `https://bucket.host/…`."""

import re
from typing import Annotated, Final
from urllib.parse import unquote, urlsplit

from pydantic import Field

from modelyard_contracts.shapes import Location

_BUCKET: Final = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
PLACE: Final = rf"^((s3://|obs://|/){_BUCKET}/.{{1,899}}|https://[^/?#@]+/[^?#]{{1,1100}})$"
Place = Annotated[
    str,
    Field(
        pattern=PLACE,
        description="`s3://bucket/folder/`, `obs://…`, `/bucket/folder/` or `https://bucket.host/folder/`; at most 900 "
        "characters after the bucket",
    ),
]
_PLACE: Final = re.compile(PLACE)
_BY_NAME: Final = re.compile(rf"(?:s3://|obs://|/)({_BUCKET})/(.+)", re.DOTALL)
_LONGEST: Final = 899


class NoPlace(ValueError):
    """Its text is the rule that is broken."""


def is_place(text: str) -> bool:
    return _PLACE.fullmatch(text) is not None


def place_of(text: str, hosts: tuple[str, ...]) -> tuple[str, str]:
    """Bucket and path. In a link the bucket is what stands before `.obs.` or before one of `hosts`. Raises NoPlace."""
    if found := _BY_NAME.fullmatch(text):
        return found[1], found[2]
    try:
        link = urlsplit(text)
    except ValueError:
        raise NoPlace("a link that can be read") from None
    bucket = _bucket_of(link.hostname or "", hosts)
    try:
        path = unquote(link.path, errors="strict").lstrip("/")
    except UnicodeDecodeError:
        raise NoPlace("a path in UTF-8") from None
    if not 0 < len(path) <= _LONGEST:
        raise NoPlace(f"a folder of at most {_LONGEST} characters below the bucket")
    return bucket, path


def folder_of(text: str, hosts: tuple[str, ...]) -> Location:
    """With a prefix that ends with `/`. Raises NoPlace."""
    bucket, path = place_of(text, hosts)
    return Location(bucket=bucket, prefix=path if path.endswith("/") else f"{path}/")


def _bucket_of(host: str, hosts: tuple[str, ...]) -> str:
    before, shape, _ = host.partition(".obs.")
    for known in (f".{each.lower()}" for each in hosts):
        if host.endswith(known):
            before, shape = host.removesuffix(known), known
    if not shape or not re.fullmatch(_BUCKET, before):
        named = "".join(f", or 'bucket.{each}'" for each in hosts)
        raise NoPlace(f"a host that names a bucket: 'bucket.obs.…'{named}")
    return before
