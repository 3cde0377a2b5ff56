"""What of a local folder is sent, and where a file that the server names may go."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from modelyard.errors import NotFoundHere, TaskFailed

NEVER: Final = frozenset({".git", ".DS_Store", "__pycache__"})
"""Left out whatever is asked for."""
SHOWN: Final = 20  # names of what is left out


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path below the folder, of a whole folder with `/` at its end, and why it is not sent."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What of `place` is sent: where each file lies, by the path it gets. `notes` say what is not as it lies there."""

    place: Path
    files: dict[str, Path]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    def told(self) -> dict[str, Any]:
        """What is left out and the notes, as a reply has them."""
        left_out = [{"path": each.path, "reason": each.reason} for each in self.left_out]
        return {"left_out": left_out, "notes": list(self.notes)}

    def notice(self) -> str | None:
        """The notes, and the first names of what is left out, in one text."""
        lines = [f"  {each.path}: {each.reason}" for each in self.left_out[:SHOWN]]
        more = len(self.left_out) - SHOWN
        listed = ["not sent:", *lines, *([f"  and {more:,} more"] if more > 0 else [])] if lines else []
        return "\n".join([*self.notes, *listed]) or None


Chosen = Callable[[Contents], None]
"""Hears, before anything moves, what is sent and what is left out."""


def nobody_told(contents: Contents) -> None:
    """For those who read it in the reply."""


def files_below(folder: Path, *, hidden: bool = False) -> Contents:
    """The regular files by their relative paths, those behind links inside of the folder's own tree among them, or
    inside of the Hugging Face cache that it belongs to. Nothing else is opened.

    With `hidden` also what begins with a dot, but never .git, .DS_Store and __pycache__. Raises NotFoundHere.
    """
    if not folder.is_dir():
        raise NotFoundHere(f"{folder} is not a folder")
    files: dict[str, Path] = {}
    left_out: list[LeftOut] = []
    for name, found in sorted(_below(folder, hidden), key=lambda each: each[0]):
        if isinstance(found, Path):
            files[name] = found
        else:
            left_out.append(LeftOut(_printable(name), found))
    if odd := [name for name in files if _printable(name) != name]:
        raise NotFoundHere(f"{folder} holds a file whose name is no printable UTF-8: {odd[0]!r}; rename it")
    contents = Contents(folder, files, tuple(left_out))
    if not files:
        notice = contents.notice()
        raise NotFoundHere(f"{folder} holds no files" + (f" that can be sent; {notice}" if notice else ""))
    return contents


def _below(folder: Path, hidden: bool) -> Iterator[tuple[str, Path | str]]:
    """Each file with where it lies, or with why it is left out. Links to folders are not entered: no way round."""
    roots = (folder.resolve(), *_cache_of(folder.resolve()))
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            inside = list(here.iterdir())
        except OSError as error:
            yield f"{_name(here, folder)}/", f"may not be read ({error.strerror})"
            continue
        for path in inside:
            name, kind = _name(path, folder), path.lstat().st_mode
            shown = f"{name}/" if stat.S_ISDIR(kind) else name
            if path.name in NEVER:
                yield shown, "is never sent"
            elif path.name.startswith(".") and not hidden:
                yield shown, "hidden"
            elif stat.S_ISLNK(kind):
                yield shown, _followed(path, roots, hidden)
            elif stat.S_ISDIR(kind):
                waiting.append(path)
            else:
                yield shown, path if stat.S_ISREG(kind) else "no regular file"


def behind(path: Path, folder: Path) -> Path | str:
    """A file of the folder, or what a link of it leads to, by the rules of `files_below`; or why it may not be sent."""
    return _followed(path, (folder.resolve(), *_cache_of(folder.resolve())), hidden=False)


def _followed(link: Path, roots: tuple[Path, ...], hidden: bool) -> Path | str:
    """The file that a link leads to, or why it is not followed. Reads names only."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # nothing is there, or links lead in a circle
        return "a link that leads nowhere"
    root = next((root for root in roots if target.is_relative_to(root)), None)
    if root is None:
        return "a link that leads out of the folder"
    parts = target.relative_to(root).parts
    if NEVER.intersection(parts):
        return "leads to what is never sent"
    if not hidden and any(part.startswith(".") for part in parts):
        return "leads to something hidden"
    if target.is_dir():
        return "a link to a folder"
    return target if target.is_file() else "a link to no regular file"


def _cache_of(folder: Path) -> Iterator[Path]:
    """Where the Hugging Face cache keeps the bytes of a snapshot: `models--org--name/snapshots/<revision>/` has links
    to `models--org--name/blobs/`."""
    for parent in (folder, *folder.parents):
        if parent.name == "snapshots" and parent.parent.name.startswith("models--"):
            yield parent.parent / "blobs"


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _printable(name: str) -> str:
    """Bytes that are no UTF-8 come as surrogates."""
    return "".join("�" if sign < " " or sign == "\x7f" or "\ud800" <= sign <= "\udfff" else sign for sign in name)


def inside(folder: Path, path: str) -> Path:
    """Where a file goes. What the server says is not trusted. Raises TaskFailed."""
    parts = PurePosixPath(path).parts
    harmless = bool(parts) and "\\" not in path and min(path) >= " "
    target = folder.joinpath(*parts)
    if not harmless or ".." in parts or not target.resolve().is_relative_to(folder.resolve()):
        raise TaskFailed(f"the server names a path that leads out of the folder: {path!r}; nothing was fetched")
    return target
