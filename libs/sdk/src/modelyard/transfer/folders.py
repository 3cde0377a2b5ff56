"""What of a local folder is sent, and where a file that the server names may go."""

from pathlib import Path, PurePosixPath

from modelyard.errors import NotFoundHere, TaskFailed


def files_below(folder: Path) -> dict[str, Path]:
    """Every regular file by its relative path, hidden ones left out. Symlinks are not followed. Raises NotFoundHere."""
    if not folder.is_dir():
        raise NotFoundHere(f"{folder} is not a folder")
    found = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not _hidden(path.relative_to(folder))
    }
    if odd := [name for name in found if not _can_be_sent(name)]:
        raise NotFoundHere(f"{folder} holds a file whose name is no printable UTF-8: {odd[0]!r}; rename it")
    if not found:
        raise NotFoundHere(f"{folder} holds no files")
    return found


def _can_be_sent(name: str) -> bool:
    """Bytes that are no UTF-8 come as surrogates."""
    return not any(sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff" for sign in name)


def _hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def inside(folder: Path, path: str) -> Path:
    """Where a file goes. What the server says is not trusted. Raises TaskFailed."""
    parts = PurePosixPath(path).parts
    harmless = bool(parts) and "\\" not in path and min(path) >= " "
    target = folder.joinpath(*parts)
    if not harmless or ".." in parts or not target.resolve().is_relative_to(folder.resolve()):
        raise TaskFailed(f"the server names a path that leads out of the folder: {path!r}; nothing was fetched")
    return target
