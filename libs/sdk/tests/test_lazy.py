"""The list of commands is written apart from the commands, so that help need not load them; here both are compared."""

from pathlib import Path

import pytest

import modelyard.cli
from modelyard.cli.lazy import COMMANDS, GROUPS, NotLoaded

EVERY = {**COMMANDS, **GROUPS}


@pytest.mark.parametrize("name", EVERY)
def test_the_list_says_what_the_command_says(name: str) -> None:
    stands_in = NotLoaded(name, *EVERY[name])
    command = stands_in.load()
    assert command.name == name
    assert command.help == stands_in.help
    assert hasattr(command, "commands") == (name in GROUPS)


def test_no_module_of_commands_is_left_out() -> None:
    folder = Path(modelyard.cli.__file__).parent
    there = {file.stem for file in folder.glob("*.py") if "def register(" in file.read_text("utf-8")}
    assert {module for modules, _ in EVERY.values() for module in modules} == there
