"""Object keys from paths that users wrote. Called wherever a file name from outside becomes part of a key."""

import unicodedata

_MOST_BYTES = 900  # of UTF-8; AWS allows 1024, SeaweedFS less


class UnsafeKey(ValueError):
    """The path may not become a key; the message names the rule."""


def safe_key(prefix: str, path: str) -> str:
    """`prefix` (empty, or ending with `/`) followed by `path`, which stays below it in every store and file system.

    Raises UnsafeKey for an absolute path, an empty, `.` or `..` segment, a backslash, a control character, or a key
    of more than 900 bytes.
    """
    if prefix and not prefix.endswith("/"):
        raise UnsafeKey(f"the prefix {prefix!r} must end with /")
    for part in (prefix[:-1], path) if prefix else (path,):
        _check(part)
    if len(key := prefix + path) > _MOST_BYTES or len(key.encode()) > _MOST_BYTES:
        raise UnsafeKey(f"{path[:100]!r} makes a key of more than {_MOST_BYTES} bytes")
    return key


def _check(path: str) -> None:
    shown = repr(path[:100])
    if path.startswith("/"):
        raise UnsafeKey(f"{shown} must be relative")
    if "\\" in path:
        raise UnsafeKey(f"{shown} must not contain a backslash")
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in path):
        raise UnsafeKey(f"{shown} must not contain control characters")
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            raise UnsafeKey(f"{shown} must not have an empty, . or .. segment")
