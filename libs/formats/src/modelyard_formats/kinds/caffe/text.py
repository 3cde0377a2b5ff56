"""Protobuf's text format, as Caffe's `*.prototxt` use it, without a schema. Used by `caffe.format`.

Written for this because Caffe's schema has a thousand fields, and enums that the little which is needed of it has not.
The format is described at https://protobuf.dev/reference/protobuf/textformat-spec.
"""

import re
from collections.abc import Iterator
from typing import TypeAlias

MAX_TOKENS = 300_000  # some ten times what the longest published networks have
MAX_DEPTH = 50

Fields: TypeAlias = dict[str, list["Value"]]
"""One message: each field with all its values in their order; numbers and names of enums as they are written."""
Value: TypeAlias = "str | Fields"

_TOKEN = re.compile(
    r"""(?:[\s,;]++|\#[^\n]*+)*+
    (?: (?P<text> "[^"\\\n]*+(?:\\.[^"\\\n]*+)*+" | '[^'\\\n]*+(?:\\.[^'\\\n]*+)*+' )
      | (?P<mark> [{}<>:\[\]] )
      | (?P<word> [^\s,;\#{}<>:\[\]"']++ )
      | (?P<end> \Z ) )""",
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}


class Malformed(Exception):
    """The text is no such message; it says where and why."""


def parse(content: str) -> Fields:
    """Raises `Malformed`."""
    return _Parser(content).message()


def texts(fields: Fields, name: str) -> tuple[str, ...]:
    return tuple(value for value in fields.get(name, ()) if isinstance(value, str))


def inner(fields: Fields, name: str) -> tuple[Fields, ...]:
    return tuple(value for value in fields.get(name, ()) if not isinstance(value, str))


def numbers(fields: Fields, name: str) -> tuple[int, ...]:
    """Of 32 bits and not negative, but for -1."""
    found = []
    for value in texts(fields, name):
        try:
            number = int(value, 0)
        except ValueError:
            raise Malformed(f"{name} is {value[:50]!r}, which is no whole number") from None
        if not -1 <= number < 2**31:
            raise Malformed(f"{name} is out of bounds")
        found.append(number)
    return tuple(found)


class _Parser:
    def __init__(self, content: str) -> None:
        self._content = content
        self._tokens = self._scan()
        self._next: tuple[str, str] = next(self._tokens)

    def message(self) -> Fields:
        root: Fields = {}
        opened = [(root, "")]
        while True:
            kind, found = self._take()
            message, closing = opened[-1]
            if kind == "end" and len(opened) == 1:
                return root
            if kind == "mark" and found == closing:
                opened.pop()
            elif kind == "word":
                self._field(found, message, opened)
            else:
                raise self._wrong("the name of a field", found)

    def _field(self, name: str, message: Fields, opened: list[tuple[Fields, str]]) -> None:
        kind, found = self._take()
        named = found == ":"
        if named:
            kind, found = self._take()
        values = message.setdefault(name, [])
        if found in _CLOSING and kind == "mark":
            if len(opened) > MAX_DEPTH:
                raise Malformed(f"messages are nested more than {MAX_DEPTH} deep")
            inside: Fields = {}
            values.append(inside)
            opened.append((inside, _CLOSING[found]))
        elif found == "[" and kind == "mark" and named:
            while self._next != ("mark", "]"):
                values.append(self._scalar(*self._take()))
            self._take()
        elif named:
            values.append(self._scalar(kind, found))
        else:
            raise self._wrong(f"a value of {name[:50]}", found)

    def _scalar(self, kind: str, found: str) -> str:
        if kind == "word":
            return found
        if kind != "text":
            raise self._wrong("a value", found)
        parts = [found]
        while self._next[0] == "text":  # texts that follow each other are one
            parts.append(self._take()[1])
        return "".join(map(_unquoted, parts))

    def _take(self) -> tuple[str, str]:
        taken = self._next
        self._next = next(self._tokens, ("end", ""))
        return taken

    def _scan(self) -> Iterator[tuple[str, str]]:
        position = 0
        for _ in range(MAX_TOKENS):
            match = _TOKEN.match(self._content, position)
            if match is None or match.lastgroup is None:
                raise Malformed(f"{self._content[position : position + 50].strip()!r} is a text without end")
            yield match.lastgroup, match[match.lastgroup]
            position = match.end()
            if match.lastgroup == "end":
                return
        raise Malformed(f"it has more than {MAX_TOKENS:,} words and signs")

    def _wrong(self, wanted: str, found: str) -> Malformed:
        return Malformed(f"{found[:50]!r} stands where {wanted} should be" if found else f"it ends without {wanted}")


def _unquoted(found: str) -> str:
    content = found[1:-1]
    if "\\" not in content:
        return content
    try:
        decoded = content.encode("latin-1", errors="backslashreplace").decode("unicode_escape")
    except UnicodeDecodeError:
        raise Malformed(f"{found[:50]} is no text") from None
    return decoded.encode(errors="backslashreplace").decode()  # half of a surrogate pair is no character
