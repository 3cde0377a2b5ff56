"""docs/package.md: its examples are taken as they stand, and it leaves out no format."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from modelyard_contracts.package import MODEL_TYPES, PackageConfig
from modelyard_formats.package.config_file import read_config
from modelyard_formats.table import FORMATS

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "package.md").read_text("utf-8")
SCHEMA = json.loads((DOCS / "generated/schemas/config.json").read_text("utf-8"))
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_is_taken(number: int) -> None:
    _, problems, _ = read_config(EXAMPLES[number].encode())
    assert problems == ()
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(json.loads(EXAMPLES[number]))


def test_every_type_has_an_example() -> None:
    assert {json.loads(text)["model_type"] for text in EXAMPLES} == set(MODEL_TYPES) - {"Template"}


def test_the_table_names_every_format_with_its_types() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `") and line.count("|") == 5]
    named = {
        (kind, name)
        for row in rows
        for kind in re.findall(r"`(.*?)`", row[1])
        for name in re.findall(r"`(.*?)`", row[3])
    }
    assert named == {(kind, row.name) for row in FORMATS.values() for kind in row.model_types}


def test_the_page_explains_every_field() -> None:
    section = PAGE.partition("## config.json")[2]
    for name in PackageConfig.model_fields:
        assert f"| `{name}`" in section, name
