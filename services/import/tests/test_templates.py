"""A template puts folders together and brings its own config.json."""

import json
from pathlib import Path

import pytest

from modelyard_contracts.events import Assembly, PlacedFolder
from modelyard_contracts.package import PackageConfig
from modelyard_contracts.shapes import Location, TemplateInput, TemplateSource
from modelyard_import.domain.imports import Import
from modelyard_testkit import models

from .conftest import Yard

pytestmark = pytest.mark.servers
CONFIG = PackageConfig(model_algorithm="image_classification", model_type="ONNX")


async def inputs(yard: Yard, tmp_path: Path) -> dict[str, Location]:
    """Folders in two buckets, the model without a config.json."""
    folder = models.package(tmp_path / "p", calibration=2)
    (folder / "model" / "config.json").unlink()
    return {
        "model_folder": await yard.put_folder(folder / "model", yard.buckets["training"], "parts/model/"),
        "samples": await yard.put_folder(folder / "calibration_data", yard.buckets["artifacts"], "mine/parts/samples/"),
    }


FOLDERS = {"model_folder": "model/", "samples": "calibration_data/", "words": "model/words/"}


async def bring_in(yard: Yard, places: dict[str, Location], config: PackageConfig = CONFIG) -> Import:
    named = tuple(TemplateInput(input_id=name, location=place) for name, place in places.items())
    folders = tuple(PlacedFolder(input_id=name, location=place, folder=FOLDERS[name]) for name, place in places.items())
    assembly = Assembly(template_id="onnx", infer_format="undefined", config=config, folders=folders)
    done = await yard.bring_in(TemplateSource(template_id="onnx", template_inputs=named), assembly)
    assert isinstance(done, Import)
    return done


def assert_refused(done: Import, *words: str) -> None:
    assert done.state == "failed"
    text = " ".join(f"{problem.message} {problem.file} {problem.field} {problem.rule}" for problem in done.problems)
    assert all(word in text for word in words), text


async def test_folders_come_together_around_the_templates_config(yard: Yard, tmp_path: Path) -> None:
    places = await inputs(yard, tmp_path)
    await yard.objects.put(yard.buckets["training"], "words/en.txt", b"zero one two")
    done = await bring_in(yard, places | {"words": Location(bucket=yard.buckets["training"], prefix="words/")})
    assert done.state == "succeeded", done.reason
    assert await yard.keys_of(done) == [
        "1/calibration_data/samples.npy", "1/model/config.json", "1/model/model.onnx", "1/model/words/en.txt",
    ]  # fmt: skip
    assert done.artifact is not None
    place = done.artifact.location
    config = json.loads(await yard.objects.read(place.bucket, f"{place.prefix}model/config.json", 1 << 20))
    assert config == {"model_algorithm": "image_classification", "model_type": "ONNX"}
    for file in done.artifact.files:
        assert await yard.objects.digest(place.bucket, place.prefix + file.path) == (file.sha256, file.size)


async def test_a_config_of_ones_own_is_not_for_templates(yard: Yard, tmp_path: Path) -> None:
    places = await inputs(yard, tmp_path)
    await yard.objects.put(yard.buckets["training"], "parts/model/config.json", b"{}")
    assert_refused(await bring_in(yard, places), "model/config.json is not for templates")


async def test_a_part_of_the_model_may_have_one(yard: Yard, tmp_path: Path) -> None:
    places = await inputs(yard, tmp_path)
    await yard.objects.put(yard.buckets["training"], "parts/model/1_Pooling/config.json", b"{}")
    done = await bring_in(yard, places)
    assert done.state == "succeeded", done.reason
    assert "1/model/1_Pooling/config.json" in await yard.keys_of(done)


async def test_every_empty_folder_is_named_at_once(yard: Yard) -> None:
    nothing = Location(bucket=yard.buckets["training"], prefix="nothing/")
    done = await bring_in(yard, {"model_folder": nothing, "samples": nothing})
    assert_refused(done, "source.template_inputs.model_folder", "source.template_inputs.samples", "nothing lies below")


async def test_every_folder_that_may_not_be_read_is_named_at_once(yard: Yard) -> None:
    theirs = Location(bucket=yard.buckets["artifacts"], prefix="theirs/x/")
    done = await bring_in(yard, {"model_folder": theirs, "samples": Location(bucket="nobodys", prefix="a/")})
    assert_refused(done, "source.template_inputs.model_folder.prefix", "source.template_inputs.samples.bucket")


async def test_a_missing_bucket_names_its_input(yard: Yard, tmp_path: Path) -> None:
    yard.buckets["gone"] = "gone-for-good"
    gone = Location(bucket="gone-for-good", prefix="a/")
    assert_refused(await bring_in(yard, await inputs(yard, tmp_path) | {"words": gone}), "source.template_inputs.words")


async def test_the_model_type_of_the_template_decides(yard: Yard, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"model_type": "OpenVINO"})
    assert_refused(await bring_in(yard, await inputs(yard, tmp_path), config), "OpenVINO")


async def test_two_inputs_with_the_same_file(yard: Yard, tmp_path: Path) -> None:
    places = await inputs(yard, tmp_path)
    await yard.objects.put(yard.buckets["training"], "parts/model/words/en.txt", b"a")
    await yard.objects.put(yard.buckets["training"], "words/en.txt", b"b")
    done = await bring_in(yard, places | {"words": Location(bucket=yard.buckets["training"], prefix="words/")})
    assert_refused(done, "model/words/en.txt is listed twice")
