"""docs/import.md, and the README's "Every way in" and "Versions", work as they are written, by bash and by Python."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from modelyard_testkit.images import image, index, push
from modelyard_testkit.registry import RegistryDouble
from modelyard_testkit.yard import PROGRAM, Yard

from .test_readme import README, ROOT, blocks, run, section

IMPORT_PAGE = ROOT / "docs/import.md"
SPOKEN_OF = "ghcr.io/team/translator:1.4"
IN_README = "ghcr.io/ggml-org/llama.cpp:server"

pytestmark = [pytest.mark.e2e, pytest.mark.servers]


@pytest.fixture(scope="module")
def reference(registry: RegistryDouble) -> str:
    """The image that the examples speak of."""
    push(registry.url, "team/translator", "1.4", index({name: image(name) for name in ("linux/amd64", "linux/arm64")}))
    return f"{registry.host}/team/translator:1.4"


@pytest.fixture(scope="module")
def place(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README has it: the stack's `data` and the `sample`."""
    made = tmp_path_factory.mktemp("place")
    (made / "data").symlink_to(yard.data)
    with yard.project("production") as other:
        there = {"gateway_url": other.connection.url, "token": other.connection.token, "project": "production"}
    (made / "production.json").write_text(json.dumps(there))
    subprocess.run([PROGRAM, "sample", "sample"], cwd=made, env=yard.environment(), check=True)
    return made


def test_every_way_in(yard: Yard, place: Path, reference: str) -> None:
    steps = blocks(section(README.read_text("utf-8"), "Every way in"), "sh")
    assert len(steps) == 6
    said = run("\n".join(steps).replace(IN_README, reference), place, yard.environment())
    assert said.count("published") == 9
    run("\n".join(blocks(section(README.read_text("utf-8"), "Versions"), "sh")), place, yard.environment())
    assert "<svg" in (place / "lineage.svg").read_text("utf-8")


@pytest.fixture
def prepared(yard: Yard, place: Path, reference: str) -> str:
    """What the page expects to lie in buckets and folders; `put` and `ask` as the README defines them."""
    text = README.read_text("utf-8")
    (put,) = [block for block in blocks(section(text, "Every way in"), "sh") if block.startswith("put()")]
    where = blocks(section(text, "By hand with curl"), "sh")[0]
    page = IMPORT_PAGE.read_text("utf-8")
    (template,) = blocks(section(page, "From a template"), "json")
    (place / "team-vision.json").write_text(template, "utf-8")
    (place / "config.json").write_text('{"model_type": "Image", "model_algorithm": "translation"}')
    lines = [
        put[: put.index("put sample/digits")],
        where,
        "mkdir -p plain image && cp sample/digits/model/digits.onnx plain/ && cp config.json image/",
        "put sample/digits s3://training/digits/V001/; put plain s3://training/plain/",
        "put image s3://training/translator/",
        "modelyard training list --job-name digits-mlp | grep -q V001 || modelyard training complete "
        "--job-name digits-mlp --output s3://training/digits/V001/ --metric accuracy=0.97",
    ]
    return "\n".join(lines)


def test_the_page_by_command_line_and_curl(yard: Yard, place: Path, prepared: str, reference: str) -> None:
    page = IMPORT_PAGE.read_text("utf-8")
    steps = [block.replace(SPOKEN_OF, reference) for block in blocks(page, "sh") + blocks(page, "bash")]
    said = run("\n".join([prepared, *steps]), place, yard.environment())
    assert said.count('"model_id"') == 6
    assert "made by" in said


def test_the_page_by_python(yard: Yard, place: Path, prepared: str, reference: str) -> None:
    run(prepared, place, yard.environment())
    page = IMPORT_PAGE.read_text("utf-8").replace(SPOKEN_OF, reference)
    name: dict[str, object] = {}
    before = Path.cwd()
    os.chdir(place)
    try:
        for block in blocks(page, "python"):
            exec(block, name)
    finally:
        os.chdir(before)
        name["client"].close()  # type: ignore[attr-defined]
    assert name["version"]["model_status"] == "published", json.dumps(name["version"])  # type: ignore[index]
