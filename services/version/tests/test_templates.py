"""Templates and modes: what is built in, what a project adds, and what a version requested from one becomes."""

from typing import Any

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls import templates as calls
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.events import VersionRequested
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.runtimes import RUNTIMES, runtimes_of
from modelyard_contracts.shapes import Location, TemplateInput, TemplateSource
from modelyard_version import built_in
from modelyard_version.domain.templates import problems_of

from .conftest import Register

PLACE = Location(bucket="training", prefix="jobs/1/")
SPEC = [
    "tensorflow-image-classification", "tensorflow-py27", "tensorflow-py36", "mxnet-py27", "mxnet-py36",
    "pytorch-py27", "pytorch-py36", "caffe-cpu-py27", "caffe-cpu-py36", "caffe-gpu-py27", "caffe-gpu-py36",
    "arm-ascend", "onnx", "openvino", "tflite", "scikit-learn", "xgboost", "lightgbm", "pytorch-export",
]  # fmt: skip


def own(**fields: Any) -> calls.CreateTemplate:
    values: dict[str, Any] = {
        "template_name": "人脸-检测",
        "description": "faces in pictures",
        "model_type": "ONNX",
        "runtime": "onnxruntime1.32-python3.12-gpu",
        "model_algorithm": "object_detection",
        "infer_format": "object-detection",
        "template_inputs": (calls.TemplateInputView(input_id="model_folder", label="Model"),),
        "keywords": ("人脸", "Faces"),
    }
    return calls.CreateTemplate(**values | fields)


def source(template_id: str = "onnx", *inputs: str, infer_format: str | None = None) -> TemplateSource:
    given = tuple(TemplateInput(input_id=name, location=PLACE) for name in inputs or ("model_folder",))
    return TemplateSource(template_id=template_id, infer_format=infer_format, template_inputs=given)


async def ids(register: Register, *, project: str = "p1", **wanted: Any) -> set[str]:
    found = await register.templates.list(register.context(project=project), calls.ListTemplates(**wanted))
    assert found.count == len(found.templates)
    return {template.template_id for template in found.templates}


async def requested(register: Register, **fields: Any) -> tuple[Any, VersionRequested]:
    model_id = await register.create(**fields)
    [message] = await register.said()
    assert message.type == catalogue.VERSION_REQUESTED.subject
    return await register.view(model_id), VersionRequested.model_validate(message.data)


def test_the_built_in_ones_are_whole() -> None:
    modes = built_in.modes()
    assert list(modes) == ["image-processing", "object-detection", "predictive-analysis", "undefined"]
    assert [name for name, mode in modes.items() if not mode.batch] == ["undefined"]
    found = built_in.templates()
    assert set(found) == set(SPEC)
    assert len({template.template_name for template in found.values()}) == len(SPEC)
    for template in found.values():
        assert problems_of(template, modes) == ()
        assert template.environment
    assert [name for name, template in found.items() if template.infer_format_fixed] == [SPEC[0]]


def test_every_mode_says_how_it_is_called() -> None:
    modes = built_in.modes()
    for mode in modes.values():
        assert [(api.url, api.method) for api in mode.apis] == [("/", "post")]
    detection = modes["object-detection"].apis[0].response.data
    assert set(detection["required"]) == {"detection_classes", "detection_boxes", "detection_scores"}
    assert "images" in modes["image-processing"].apis[0].request.data["required"]
    asked = modes["predictive-analysis"].apis[0].request.data["properties"]["data"]
    assert asked["properties"]["req_data"]["type"] == "array"


async def test_modes_and_runtimes_are_shown(register: Register) -> None:
    modes = await register.templates.list_modes(register.context(), Nothing())
    assert [(mode.infer_format, mode.batch) for mode in modes.modes][-1] == ("undefined", False)
    assert modes.modes[0].apis[0]["request"]["Content-type"] == "multipart/form-data"
    everything = await register.templates.list_runtimes(register.context(), calls.ListRuntimes())
    assert everything.total_count == len(RUNTIMES)
    caffe = await register.templates.list_runtimes(register.context(), calls.ListRuntimes(model_type="Caffe"))
    assert {row.runtime for row in caffe.runtimes} == {row.runtime for row in runtimes_of("Caffe")}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"model_type": "Caffe"}, {name for name in SPEC if name.startswith("caffe")}),
        ({"engine": "tensorflow"}, set(SPEC[:3])),
        ({"engine": "onnx runtime"}, {"onnx"}),
        ({"environment": "py27"}, {name for name in SPEC if name.endswith("py27")}),
        ({"environment": "python3.12"}, set(SPEC[12:])),
        ({"environment": "npu", "model_type": "MindSpore"}, {"arm-ascend"}),
        ({"environment": "GPU", "model_type": "Caffe"}, {"caffe-gpu-py27", "caffe-gpu-py36"}),
        ({"environment": "py3"}, set()),
        ({"keyword": "昇腾"}, {"arm-ascend"}),
        ({"keyword": "图像"}, {SPEC[0]}),
        ({"keyword": "ASCEND"}, {"arm-ascend"}),
        ({"keyword": "预测", "engine": "boost"}, {"xgboost"}),
    ],
)
async def test_filters(register: Register, wanted: dict[str, Any], found: set[str]) -> None:
    assert await ids(register, **wanted) == found


async def test_an_own_template_is_added_shown_and_deleted(register: Register) -> None:
    context = register.context()
    made = await register.templates.create(context, own())
    assert (made.built_in, made.engine, made.python, made.processors) == (False, "ONNX Runtime", "3.12", ("gpu",))
    assert (made.created_at, made.created_by) == (register.now, "alice")
    assert await register.templates.get(context, calls.GetTemplate(template_id=made.template_id)) == made
    assert await ids(register, keyword="人脸") == await ids(register, keyword="faces") == {made.template_id}
    assert len(await ids(register, limit=5, offset=18)) == 2
    await register.templates.delete(context, calls.GetTemplate(template_id=made.template_id))
    assert await ids(register) == set(SPEC)


async def test_another_project_does_not_see_it(register: Register) -> None:
    made = await register.templates.create(register.context(), own())
    other = register.context(project="p2")
    assert await ids(register, project="p2") == set(SPEC)
    for refused in (
        register.templates.get(other, calls.GetTemplate(template_id=made.template_id)),
        register.templates.delete(other, calls.GetTemplate(template_id=made.template_id)),
        register.create(project="p2", source=source(made.template_id)),
    ):
        with pytest.raises(Failure) as caught:
            await refused
        assert (caught.value.kind, caught.value.code) == (FailureKind.NOT_FOUND, "ModelArts.3021")
    await register.templates.create(other, own())


async def test_its_name_is_unique_and_a_key_makes_one(either: Register) -> None:
    register = either
    first = await register.templates.create(register.context(key="k"), own())
    assert await register.templates.create(register.context(key="k"), own()) == first
    with pytest.raises(Failure, match="Idempotency-Key"):
        await register.templates.create(register.context(key="k"), own(description="other"))
    for name in ("人脸-检测", "ARM-Ascend"):
        with pytest.raises(Failure) as caught:
            await register.templates.create(register.context(), own(template_name=name))
        assert caught.value.code == "ModelArts.3022"


async def test_built_in_ones_stay(register: Register) -> None:
    with pytest.raises(Failure, match="built in") as caught:
        await register.templates.delete(register.context(), calls.GetTemplate(template_id="onnx"))
    assert caught.value.kind == FailureKind.FORBIDDEN


async def test_a_template_that_could_never_work_is_refused_with_every_reason(register: Register) -> None:
    optional = calls.TemplateInputView(input_id="code", label="Code", required=False)
    wrong = own(
        infer_format="telepathy",
        runtime="python2.7",
        model_algorithm="检测",
        template_inputs=(optional, optional),
    )
    with pytest.raises(Failure) as caught:
        await register.templates.create(register.context(), wrong)
    assert caught.value.code == "ModelArts.3019"
    fields = [problem.field for problem in caught.value.problems]
    assert fields == ["infer_format", "template_inputs", "template_inputs", "model_algorithm", "runtime"]
    with pytest.raises(Failure, match="cannot be of type Image"):
        await register.templates.create(register.context(), own(model_type="Image", runtime=None))


async def test_a_template_fixes_what_the_import_needs(register: Register) -> None:
    view, said = await requested(register, source=source("openvino", "model_folder", "calibration_data"))
    assert said.assembly is not None
    assert (said.assembly.template_id, said.assembly.infer_format) == ("openvino", "undefined")
    assert [(each.input_id, each.folder) for each in said.assembly.folders] == [
        ("model_folder", "model/"),
        ("calibration_data", "calibration_data/"),
    ]
    config = said.assembly.config
    assert (config.model_type, config.runtime, len(config.apis)) == ("OpenVINO", "python3.12", 1)
    assert view.install_type == ("real-time", "edge")


async def test_a_general_template_takes_another_mode(register: Register) -> None:
    view, said = await requested(register, source=source("onnx", infer_format="object-detection"))
    assert said.assembly is not None
    assert said.assembly.infer_format == "object-detection"
    assert said.assembly.config.apis == built_in.modes()["object-detection"].apis
    assert view.install_type == ("real-time", "batch", "edge")


async def test_a_deleted_template_leaves_the_receipt_of_its_version(register: Register) -> None:
    made = await register.templates.create(register.context(), own())
    model_id = await register.create(key="k", source=source(made.template_id))
    kept = (await register.view(model_id)).source
    assert isinstance(kept, TemplateSource)
    assert kept.template_name == made.template_name, "nobody reads its id"
    await register.templates.delete(register.context(), calls.GetTemplate(template_id=made.template_id))
    assert await register.create(key="k", source=source(made.template_id)) == model_id


@pytest.mark.parametrize(
    ("wanted", "code", "field"),
    [
        (source("nothing"), "ModelArts.3021", "source.template_id"),
        (source("onnx", infer_format="telepathy"), "ModelArts.3019", "source.infer_format"),
        (source(SPEC[0], infer_format="undefined"), "ModelArts.3039", "source.infer_format"),
        (source("onnx", "calibration_data"), "ModelArts.3024", "source.template_inputs.model_folder"),
        (source("onnx", "model_folder", "weights"), "ModelArts.3029", "source.template_inputs.weights"),
        (source("onnx", "model_folder", "model_folder"), "ModelArts.3034", "source.template_inputs.model_folder"),
    ],
)
async def test_a_wrong_choice_is_refused(register: Register, wanted: TemplateSource, code: str, field: str) -> None:
    with pytest.raises(Failure) as caught:
        await register.create(source=wanted)
    assert (caught.value.code, caught.value.problems[0].field) == (code, field)


async def test_all_that_is_wrong_is_said_at_once(register: Register) -> None:
    with pytest.raises(Failure) as caught:
        await register.create(source=source(SPEC[0], "weights", "weights", infer_format="undefined"))
    assert [problem.rule for problem in caught.value.problems] == [
        "omitted, or image-processing",
        "required",
        "one of model_folder",
    ]


async def test_the_undefined_mode_never_has_batch(register: Register) -> None:
    with pytest.raises(Failure, match="never be deployed as batch") as caught:
        await register.create(source=source(), install_type=("real-time", "batch"))
    assert (caught.value.code, caught.value.problems[0].field) == ("ModelArts.3037", "install_type")
    edge, _ = await requested(register, source=source(), install_type=("edge",))
    assert edge.install_type == ("edge",)


async def test_without_a_template_everything_is_allowed(register: Register) -> None:
    view, said = await requested(register)
    assert said.assembly is None
    assert view.install_type == ("real-time", "batch", "edge")
