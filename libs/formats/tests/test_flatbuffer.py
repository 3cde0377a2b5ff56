"""FlatBuffers written by hand: what is read of them, and what is refused before it is read."""

import struct

import pytest

from modelyard_formats.wire import flatbuffer
from modelyard_formats.wire.flatbuffer import MAX_TEXT, Flatbuffer, Malformed


def table(fields: bytes, places: tuple[int, ...], before: int = 8) -> bytes:
    """A buffer with identifier `TEST`: the root table's vtable, then the table, from whose start `places` count."""
    vtable = struct.pack(f"<HH{len(places)}H", 4 + 2 * len(places), 4 + len(fields), *places)
    at = before + len(vtable)
    return struct.pack("<I4s", at, b"TEST") + vtable + struct.pack("<i", at - before) + fields


def vector(fields: bytes, count: int, elements: bytes) -> bytes:
    """A root table whose field 0 is a vector."""
    offset = struct.pack("<I", 4 + len(fields))
    return table(offset + fields, (4,)) + struct.pack("<I", count) + elements


def test_numbers_lie_where_the_vtable_says():
    data = table(struct.pack("<qiB", -(2**40), 7, 1), (16, 4, 0, 12))
    root = Flatbuffer(data).root()
    assert Flatbuffer(data).identifier() == b"TEST"
    assert [root.number(0, "?"), root.number(1, "q"), root.number(3, "i")] == [1, -(2**40), 7]
    assert root.number(2, "i", 5) == 5  # left out
    assert root.number(99, "i", -1) == -1  # of a newer schema
    assert (root.has(1), root.has(2)) == (True, False)
    assert (root.text(2), root.table(2), len(root.tables(2)), root.numbers(2, "i", 9)) == ("", None, 0, ())


def test_texts_and_vectors():
    assert Flatbuffer(vector(b"", 3, b"abc\0")).root().text(0) == "abc"
    assert Flatbuffer(vector(b"", 2, b"\xff!\0")).root().text(0) == "\\xff!"
    assert len(Flatbuffer(vector(b"", 9_000, b"a" * 9_000)).root().text(0)) == MAX_TEXT
    root = Flatbuffer(vector(b"", 3, struct.pack("<3i", 1, -1, 3))).root()
    assert root.numbers(0, "i", 3) == (1, -1, 3)
    with pytest.raises(Malformed, match="3 elements, more than 2"):
        root.numbers(0, "i", 2)


def test_a_vector_of_tables_is_read_one_by_one():
    data = vector(b"", 2, b"") + struct.pack("<Ii", 8, 1)  # the second element points outside
    inner = struct.pack("<HHi", 4, 4, 4)
    tables = Flatbuffer(data[:-8] + struct.pack("<II", 12, 2**31) + inner).root().tables(0)
    assert len(tables) == 2
    assert tables[0].number(0, "i", 3) == 3
    for index in (1, 2, -1):
        with pytest.raises(Malformed):
            tables[index]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 3, b"\0" * 64, b"\xff" * 64, struct.pack("<I", 2**31) + b"\0" * 9,
        table(b"", ())[:-2],  # cut off in the table
        struct.pack("<IiHH", 4, -4, 3, 4), struct.pack("<IiHH", 4, -4, 2, 4),  # vtables too short
        struct.pack("<IiHH", 4, -4, 4, 400), struct.pack("<IiHH", 4, -4, 400, 4),  # longer than the file
        struct.pack("<IiHH", 4, 2**31 - 1, 4, 4), struct.pack("<IiHH", 4, -(2**31), 4, 4),  # vtable outside
    ],
)  # fmt: skip
def test_no_table(data):
    with pytest.raises(Malformed):
        Flatbuffer(data).root()


@pytest.mark.parametrize("count", [4, 2**30, 2**32 - 1])
def test_a_vector_that_ends_outside(count):
    root = Flatbuffer(vector(b"", count, b"abc")).root()
    for read in (
        lambda: root.text(0),
        lambda: root.tables(0),
        lambda: root.numbers(0, "q", 2**40),
        lambda: root.extent(0),
    ):
        with pytest.raises(Malformed, match="outside of the file"):
            read()


def test_a_field_outside_of_its_table():
    root = Flatbuffer(table(b"\1", (4, 60_000))).root()
    assert root.number(0, "B") == 1
    for place, code in ((0, "i"), (1, "B")):
        with pytest.raises(Malformed, match="outside"):
            root.number(place, code)


def test_an_offset_to_itself_is_no_table():
    with pytest.raises(Malformed, match="points to itself"):
        Flatbuffer(table(b"\0" * 4, (4,))).root().table(0)


def test_one_table_very_often_is_too_much(monkeypatch):
    """A vector's elements may all point to the same table: few bytes, endless work."""
    inner = struct.pack("<HHi", 4, 4, 4)
    monkeypatch.setattr(flatbuffer, "MAX_VALUES", 1_000)
    count = 1_000
    offsets = struct.pack(f"<{count}I", *(4 * (count - index) + 4 for index in range(count)))
    tables = Flatbuffer(vector(b"", count, offsets) + inner).root().tables(0)
    assert tables[count - 1].has(0) is False
    with pytest.raises(Malformed, match="more than 1,000 values"):
        list(iter(tables))
