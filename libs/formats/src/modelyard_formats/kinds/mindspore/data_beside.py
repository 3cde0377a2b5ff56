"""Weights that a model keeps in a file beside it: whether that file may be taken, and is long enough.

Used by the MindSpore formats. That no file of a package is a link is the package check's business.
"""

from pathlib import Path, PurePosixPath

RULE = "external data is a regular file beside the model, holding the whole parameter"


class BadPlace(Exception):
    """The text says why."""


def path_beside(folder: Path, location: str, offset: int, length: int) -> str:
    """`location` relative to the model folder, when it holds the bytes. Raises `BadPlace`."""
    path = PurePosixPath(location)
    plain = location.isprintable() and "\\" not in location and not path.is_absolute() and path.parts
    if not plain or ".." in path.parts or len(location) > 900 or not (folder / path).is_file():
        raise BadPlace(f"{location[:100]!r} is no file of the package")
    size = (folder / path).stat().st_size
    if offset < 0 or length < 0 or offset + length > size:
        raise BadPlace(f"{location[:100]!r} has {size:,} bytes, not the {length:,} from byte {offset:,} on")
    return path.as_posix()
