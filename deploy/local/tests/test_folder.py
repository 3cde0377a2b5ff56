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


def test_a_folder_from_before_access_keys_gets_their_master_key_once(tmp_path: Path) -> None:
    drawn = Credentials.of(tmp_path)
    file = tmp_path / "credentials.json"
    former = {name: value for name, value in json.loads(file.read_text()).items() if name != "access_master_key"}
    file.write_text(json.dumps(former))
    kept = Credentials.of(tmp_path)
    assert (kept.operator_token, kept.nats) == (drawn.operator_token, drawn.nats)
    assert len(kept.access_master_key) >= 32
    assert Credentials.of(tmp_path) == kept
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", '{"nats"', "[]", "{}", '{"nats": {}}', json.dumps({"nats": 5})])
def test_damaged_credentials_are_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "credentials.json").write_text(content)
    with pytest.raises(ValueError, match=r"credentials\.json is damaged or of another version; move it away"):
        Credentials.of(tmp_path)
