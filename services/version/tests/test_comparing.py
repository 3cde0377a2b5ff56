"""Comparing versions: what differs, and what would break a caller of the first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard_contracts.calls.version import CompareVersions, Comparison, Difference
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.package import Metrics
from modelyard_contracts.shapes import CodeRef, DatasetRef, Inspection, Signature, TensorSpec
from modelyard_version.domain.comparison import signature_changes

from .conftest import Facts, Register

IMAGE = TensorSpec(name="image", dtype="float32", shape=("N", 3, 224, 224))
SCORES = TensorSpec(name="scores", dtype="float32", shape=("N", 10))
BASE = Signature(inputs=(IMAGE,), outputs=(SCORES,))


def spec(of: TensorSpec, **changes: Any) -> TensorSpec:
    return of.model_copy(update=changes)


def inputs(*specs: TensorSpec) -> Signature:
    return BASE.model_copy(update={"inputs": specs})


def outputs(*specs: TensorSpec) -> Signature:
    return BASE.model_copy(update={"outputs": specs})


MASK = TensorSpec(name="mask", dtype="bool", shape=("N",))


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (BASE, []),
        (inputs(MASK), [(True, "input 'image' is gone"), (True, "input 'mask' is required now: mask: bool[N]")]),
        (inputs(spec(IMAGE, name="x")), [(True, "input 'image' is called 'x' now")]),
        (inputs(spec(IMAGE, dtype="uint8")), [(True, "input 'image' was float32 and is uint8 now")]),
        (inputs(IMAGE, MASK), [(True, "input 'mask' is required now: mask: bool[N]")]),
        (inputs(spec(IMAGE, shape=("batch", 3, 224, 224))), []),
        (inputs(spec(IMAGE, shape=(None, 3, 224, 224))), []),
        (inputs(spec(IMAGE, shape=("N", 3, "H", 224))), [
            (False, "axis 2 of input 'image' was 224 and may be of any length now")]),
        (inputs(spec(IMAGE, shape=(1, 3, 224, 224))), [
            (True, "axis 0 of input 'image' could be of any length and must be 1 now")]),
        (inputs(spec(IMAGE, shape=("N", 3, 299, 299))), [
            (True, "axis 2 of input 'image' was 224 and is 299 now"),
            (True, "axis 3 of input 'image' was 224 and is 299 now")]),
        (inputs(spec(IMAGE, shape=("N", 150528))), [(True, "input 'image' had 4 axes and has 2 now")]),
        (outputs(), [(True, "output 'scores' is gone")]),
        (outputs(SCORES, MASK), [(False, "output 'mask' is new: mask: bool[N]")]),
        (outputs(spec(SCORES, name="logits")), [(True, "output 'scores' is called 'logits' now")]),
        (outputs(spec(SCORES, dtype="float16")), [(True, "output 'scores' was float32 and is float16 now")]),
        (outputs(spec(SCORES, shape=("N", 12))), [(True, "axis 1 of output 'scores' was 10 and is 12 now")]),
        (outputs(spec(SCORES, shape=("N", None))), [
            (True, "axis 1 of output 'scores' was 10 and may be of any length now")]),
        (outputs(spec(SCORES, shape=(1, 10))), [
            (False, "axis 0 of output 'scores' could be of any length and must be 1 now")]),
    ],
)  # fmt: skip
def test_what_breaks_a_caller(new: Signature, expected: list[tuple[bool, str]]) -> None:
    assert [(breaking, message) for _, _, breaking, message in signature_changes(BASE, new)] == expected


names = st.sampled_from(["a", "b", "c"])
axes = st.sampled_from([1, 2, "N", None])
specs = st.builds(
    TensorSpec, name=names, dtype=st.sampled_from(["float32", "int64"]), shape=st.lists(axes, max_size=2).map(tuple)
)
sides = st.lists(specs, max_size=3, unique_by=lambda each: each.name).map(tuple)
signatures = st.builds(Signature, inputs=sides, outputs=sides)


def serves(signature: Signature, calls: Signature) -> bool:
    """Whether every call that fits `calls` fits, and its answer has what the caller reads."""

    def within(narrow: TensorSpec, wide: TensorSpec) -> bool:
        return (
            narrow.dtype == wide.dtype
            and len(narrow.shape) == len(wide.shape)
            and all(not isinstance(w, int) or n == w for n, w in zip(narrow.shape, wide.shape, strict=True))
        )

    given = {each.name: each for each in calls.inputs}
    wanted = {each.name: each for each in signature.inputs}
    answers = {each.name: each for each in signature.outputs}
    return (
        given.keys() == wanted.keys()
        and all(within(given[name], wanted[name]) for name in given)
        and all(each.name in answers and within(answers[each.name], each) for each in calls.outputs)
    )


@given(signatures, signatures)
def test_breaking_means_that_a_caller_could_fail(old: Signature, new: Signature) -> None:
    assert any(breaking for _, _, breaking, _ in signature_changes(old, new)) != serves(new, old)


@given(signatures)
def test_a_signature_does_not_differ_from_itself(signature: Signature) -> None:
    assert list(signature_changes(signature, signature)) == []


async def made(register: Register, facts: Facts, **given: Any) -> str:
    model_id: str = await register.create()
    fact = facts.imported(model_id, size=given.get("size", 5000))
    inspection = Inspection(
        format="ONNX",
        signature=given.get("signature", BASE),
        operators=given.get("operators", {"Conv": 2}),
        opsets={"ai.onnx": given.get("opset", 17)},
        parameter_count=given.get("count", 1000),
    )
    artifact = fact.artifact.model_copy(update={"inspection": inspection})
    assert fact.training is not None
    training = fact.training.model_copy(update=given.get("training", {}))
    config = fact.config.model_copy(update={"metrics": Metrics(**given.get("claimed", {}))})
    changed = {"artifact": artifact, "training": training, "config": config}
    await register.tell(register.reports.import_succeeded, fact.model_copy(update=changed))
    return model_id


async def compare(register: Register, *model_ids: str, project: str = "p1") -> Comparison:
    request = CompareVersions(model_ids=model_ids)
    found: Comparison = await register.comparing.compare(register.context(project=project), request)
    return found


def differences(comparison: Comparison) -> dict[str, tuple[Any, ...]]:
    return {difference.subject: difference.values for difference in comparison.differences}


async def test_everything_that_differs_is_named_once(register: Register, facts: Facts) -> None:
    first = await made(register, facts, training={"parameters": {"lr": 0.1, "epochs": 5}}, claimed={"f1": 0.5})
    await register.tell(register.reports.evaluation_succeeded, facts.evaluated(first))
    second = await made(
        register, facts, size=7000, count=2000, opset=18, operators={"Conv": 3, "Relu": 1},
        signature=inputs(spec(IMAGE, dtype="uint8")),
        training={
            "parameters": {"lr": 0.2, "epochs": 5, "seed": 1},
            "metrics": {"accuracy": 0.98},
            "dataset": DatasetRef(uri="s3://datasets/digits", digest="sha256:34"),
            "code": CodeRef(repository="https://example.org/digits", commit="def456"),
        },
    )  # fmt: skip
    waiting = await register.create()
    found = await compare(register, first, second, waiting)
    assert [version.model_id for version in found.versions] == [first, second, waiting]
    assert found.versions[0].metrics == {
        "training.accuracy": 0.97, "config.f1": 0.5, "evaluation.d-1.accuracy": 0.96,
    }  # fmt: skip
    assert [(change.model_id, change.breaking) for change in found.signature_changes] == [(second, True)]
    told = differences(found)
    assert told["size"] == (5000, 7000, 0)
    assert told["parameter count"] == (1000, 2000, None)
    assert told["metric training.accuracy"] == (0.97, 0.98, None)
    assert told["metric evaluation.d-1.accuracy"] == (0.96, None, None)
    assert told["parameter lr"] == (0.1, 0.2, None)
    assert told["parameter seed"] == (None, 1, None)
    assert told["operator Conv"] == (2, 3, None)
    assert told["operator Relu"] == (None, 1, None)
    assert told["opset ai.onnx"] == (17, 18, None)
    assert told["dataset"] == ("sha256:12", "sha256:34", None)
    assert told["code"] == ("https://example.org/digits@abc123", "https://example.org/digits@def456", None)
    assert told["status"] == ("published", "published", "publishing")
    assert "parameter epochs" not in differences(await compare(register, first, second))


async def test_versions_that_are_alike_differ_in_nothing(register: Register, facts: Facts) -> None:
    found = await compare(register, await made(register, facts), await made(register, facts))
    assert (found.signature_changes, found.differences) == ((), ())


async def test_a_signature_that_is_not_known_breaks_nothing(register: Register, facts: Facts) -> None:
    unknown = await made(register, facts, signature=Signature(inputs=(), outputs=()))
    found = await compare(register, await made(register, facts), unknown)
    assert found.signature_changes == ()
    assert found.differences == (
        Difference(subject="signature", values=("image: float32[N, 3, 224, 224] → scores: float32[N, 10]", None)),
    )


async def test_numbers_on_other_data_are_not_set_side_by_side(register: Register, facts: Facts) -> None:
    first, second = await made(register, facts), await made(register, facts)
    await register.tell(register.reports.evaluation_succeeded, facts.evaluated(first, "r-1"))
    other = facts.evaluated(second, "r-2").model_copy(update={"dataset_id": "d-2", "metrics": {"accuracy": 0.5}})
    await register.tell(register.reports.evaluation_succeeded, other)
    again = facts.evaluated(second, "r-3").model_copy(update={"dataset_id": "d-2", "metrics": {"accuracy": 0.6}})
    await register.tell(register.reports.evaluation_succeeded, again)
    assert differences(await compare(register, first, second)) == {
        "metric evaluation.d-1.accuracy": (0.96, None),
        "metric evaluation.d-2.accuracy": (None, 0.6),
    }


async def test_only_the_callers_own_versions_and_each_once(register: Register, facts: Facts) -> None:
    first, second = await made(register, facts), await made(register, facts)
    with pytest.raises(Failure) as caught:
        await compare(register, first, second, first)
    assert (caught.value.kind, caught.value.problems[0].field) == (FailureKind.INVALID, "model_id")
    for asked, project in (((first, "never-was"), "p1"), ((first, second), "p2")):
        with pytest.raises(Failure) as caught:
            await compare(register, *asked, project=project)
        assert caught.value.code == "ModelArts.3001"
