"""A data folder that cannot be used is named, with what to do; and two never use one."""

import json
from pathlib import Path

import pytest

from modelyard_local.child import ServerFailed
from modelyard_local.credentials import Credentials
from modelyard_local.folder import owned
from modelyard_testkit.small_disk import fill, small_disk


def test_two_never_use_one_folder(tmp_path: Path) -> None:
    """Also when both start at once, before either has begun anything that could be seen."""
    with owned(tmp_path), pytest.raises(ServerFailed, match="in use by another"), owned(tmp_path):
        pass
    with owned(tmp_path):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with (
        pytest.raises(ServerFailed, match=r"data: File exists\..*choose another folder with --data"),
        owned(tmp_path / "data"),
    ):
        pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path, 32) as disk:
        fill(disk)
        with pytest.raises(ServerFailed, match=r"No space left on device\..*give it room"), owned(tmp_path):
            Credentials.of(tmp_path)


@pytest.mark.parametrize("content", ["", '{"nats"', "[]", "{}", '{"nats": {}}', json.dumps({"nats": 5})])
def test_damaged_credentials_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content)
    with pytest.raises(ValueError, match=r"credentials\.json is damaged or of another version; move it away"):
        Credentials.of(tmp_path)
