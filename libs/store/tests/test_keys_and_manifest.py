"""Keys that stay where they belong, and a digest that depends on the files alone."""

import hashlib
import posixpath
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard_contracts.shapes import FileEntry
from modelyard_store.keys import UnsafeKey, safe_key
from modelyard_store.manifest import manifest_digest

PREFIX = "p/models/m/source/"
segments = st.lists(
    st.sampled_from(["a", ".", "..", "", "模型", "b.c", "\\", "\n", "...", " ", "\x7f", "~"]), max_size=5
)
paths = st.one_of(st.text(max_size=40), segments.map("/".join))
sha = st.integers(0, 2**256 - 1).map("{:064x}".format)
names = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1, max_size=20)
files = st.lists(st.builds(FileEntry, path=names, size=st.integers(0, 2**50), sha256=sha), unique_by=lambda f: f.path)


@given(paths)
def test_a_safe_key_stays_below_its_prefix(path: str) -> None:
    try:
        key = safe_key(PREFIX, path)
    except UnsafeKey:
        return
    assert key == PREFIX + path
    assert posixpath.normpath(key) == key
    assert key.startswith(PREFIX)
    assert key.isprintable() or all(ord(character) >= 0x80 or character.isprintable() for character in key)
    assert "\\" not in key


@given(
    st.lists(
        st.text("abc._- é模", min_size=1, max_size=9).filter(lambda s: s not in (".", "..")), min_size=1, max_size=9
    )
)
def test_ordinary_paths_are_safe(parts: list[str]) -> None:
    assert safe_key(PREFIX, "/".join(parts)) == PREFIX + "/".join(parts)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../x", "a/..", "./a", "a//b", "a/", "a\\b", "a\x00b", "a\nb", "a\x1b[0m", "\ud800",
     "x" * 901, "模" * 300, "a\u2028b", "C:\\x"],
)  # fmt: skip
def test_unsafe_paths(path: str) -> None:
    with pytest.raises(UnsafeKey):
        safe_key("p/", path)


@pytest.mark.parametrize("prefix", ["p", "/p/", "p/../", "p//", "/"])
def test_unsafe_prefixes(prefix: str) -> None:
    with pytest.raises(UnsafeKey):
        safe_key(prefix, "a")


@given(files, st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_order(entries: list[FileEntry], shuffler: random.Random) -> None:
    digest = manifest_digest(entries)
    shuffled = list(entries)
    shuffler.shuffle(shuffled)
    assert manifest_digest(iter(shuffled)) == digest


@given(files.filter(bool), st.sampled_from(["path", "size", "sha256"]))
def test_the_digest_depends_on_everything_else(entries: list[FileEntry], field: str) -> None:
    first = entries[0]
    other = {"path": first.path + "x", "size": first.size + 1, "sha256": f"{int(first.sha256, 16) ^ 1:064x}"}[field]
    changed = [first.model_copy(update={field: other}), *entries[1:]]
    if len({entry.path for entry in changed}) == len(changed):
        assert manifest_digest(changed) != manifest_digest(entries)
    assert manifest_digest(entries[1:]) != manifest_digest(entries)


def test_the_canonical_form_is_what_the_readme_says() -> None:
    entries = [
        FileEntry(path="model/é.onnx", size=3, sha256="b" * 64),
        FileEntry(path="model/config.json", size=12, sha256="a" * 64),
    ]
    text = f"{'a' * 64} 12 model/config.json\n{'b' * 64} 3 model/é.onnx\n"
    assert manifest_digest(entries) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert manifest_digest([]) == f"sha256:{hashlib.sha256().hexdigest()}"


def test_a_manifest_with_one_path_twice_is_refused() -> None:
    entry = FileEntry(path="a", size=1, sha256="a" * 64)
    with pytest.raises(ValueError, match="same path"):
        manifest_digest([entry, entry])
    with pytest.raises(ValueError, match="line break"):
        manifest_digest([entry.model_copy(update={"path": "a\nb"})])
