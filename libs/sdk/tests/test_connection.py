"""Where the gateway is."""

import json
from pathlib import Path

import pytest

from modelyard import ConnectionNotFound, find_connection

WHOLE = {"gateway_url": "http://127.0.0.1:1", "token": "secret-token", "project": "demo", "nats_url": "nats://x"}


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("MODELYARD_CONNECTION", "MODELYARD_URL", "MODELYARD_TOKEN", "MODELYARD_PROJECT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "connection.json"
    path.write_text(json.dumps(WHOLE))
    return path


def test_from_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_connection(file)
    assert (found.url, found.token, found.project) == ("http://127.0.0.1:1", "secret-token", "demo")
    assert found.details["nats_url"] == "nats://x"
    assert "secret-token" not in repr(found)
    assert find_connection(file, "other").project == "other"
    monkeypatch.setenv("MODELYARD_PROJECT", "third")
    assert find_connection(file).project == "third"


def test_the_file_may_be_named_by_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_URL", "http://elsewhere")
    monkeypatch.setenv("MODELYARD_TOKEN", "t")
    monkeypatch.setenv("MODELYARD_CONNECTION", str(file))
    assert find_connection().url == "http://127.0.0.1:1"


def test_from_url_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CONNECTION", "")
    monkeypatch.setenv("MODELYARD_URL", " http://h:1 ")
    with pytest.raises(ConnectionNotFound):
        find_connection()
    monkeypatch.setenv("MODELYARD_TOKEN", "t\n")
    found = find_connection()
    assert (found.url, found.token, found.project) == ("http://h:1", "t", "default")


def test_nothing_says_where() -> None:
    with pytest.raises(ConnectionNotFound, match="modelyard up --data DIR"):
        find_connection()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "holds no JSON"),
        ("[]", "lacks gateway_url, token, project"),
        ('{"gateway_url": "http://h", "project": "p"}', "lacks token"),
        ('{"gateway_url": "http://h", "project": "p", "token": null}', "lacks token"),
        ("\udcff", "holds no JSON"),
    ],
)
def test_a_damaged_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "connection.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConnectionNotFound, match=words):
        find_connection(file)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConnectionNotFound, match=r"missing\.json cannot be read \(No such file"):
        find_connection(tmp_path / "missing.json")
    with pytest.raises(ConnectionNotFound, match="Is a directory"):
        find_connection(tmp_path)
