"""The children of a conversion: what each of them loads, where a toolchain runs, and how they die."""

import json
import os
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from onnx import TensorProto, helper

from modelyard_bus.consume import Retry
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Signature, TensorSpec
from modelyard_convert.children import timing
from modelyard_convert.children.protocol import Refusal
from modelyard_convert.children.requests import RefitRequest, Turns
from modelyard_convert.children.turns import Talk
from modelyard_convert.conversion import CHILDREN, PACKAGE, REFIT, Converter, write_config
from modelyard_convert.errors import BadResult, NotConvertible, ToolchainFailed, UnsupportedOperators
from modelyard_convert.refitting import refitted
from modelyard_convert.settings import ConvertSettings
from modelyard_convert.toolchains import TARGETS, TOOLCHAINS
from modelyard_convert.toolchains.target import Toolchain
from modelyard_formats.running import Runner
from modelyard_runtime.subprocesses import Limits, Reach, SubprocessFailed, run_program, run_python

PROGRAMS = Path(__file__).parent / "children"
RUNTIMES = {"onnx", "onnxruntime", "openvino", "sklearn"}
PERFORM = """
import json, sys
from modelyard_convert.children.__main__ import perform
perform(json.load(sys.stdin), lambda line: None)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def loaded_by(request: dict[str, Any], folder: Path) -> set[str]:
    """The packages in a process that has done this."""
    written = {name: str(folder / name) for name in ("calibration", "proof", "outputs") if name in request}
    request = {**request, **written, "turns": None} if "turns" in request else {**request, **written}
    done = subprocess.run(
        [sys.executable, "-c", PERFORM], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1])) & {*RUNTIMES, "numpy"}


def test_no_child_loads_what_another_needs(bench: Any, tmp_path: Path) -> None:
    bench.convert(bench.request("openvino-fp32"))
    loaded = {}
    for number, request in enumerate(bench.asked):
        folder = tmp_path / f"again-{number}"
        folder.mkdir()
        loaded[request["do"], request.get("format")] = loaded_by(request, folder)
    assert loaded == {
        ("sample", "onnx"): {"numpy", "onnxruntime"},
        ("observe", "onnx"): {"numpy", "onnxruntime", "onnx"},  # onnx: which files are the model
        ("observe", "openvino"): {"numpy", "openvino"},
        ("judge", None): {"numpy"},
    }


async def test_a_toolchain_runs_with_nothing_of_ours_but_the_protocol(bench: Any, tmp_path: Path) -> None:
    lines: list[str] = []

    async def on_line(line: str) -> None:
        lines.append(line)

    request = bench.request("openvino-fp32")
    wanted = RefitRequest(
        program=PROGRAMS / "watching_program.py",
        convert="to_fp32",
        check=None,
        source=request.source,
        result=request.result,
        scratch=request.scratch,
        options={},
        samples=RefitRequest.Samples(path=tmp_path / "none.npz", inputs=(), count=0),
    )
    request.result.mkdir()
    reach = Reach(read=(PACKAGE, PROGRAMS, request.source), write=(request.result, request.scratch))
    report = await run_program(REFIT, wanted.model_dump(mode="json"), workdir=tmp_path, on_line=on_line, reach=reach)
    assert refitted(report, "openvino").changed > 0
    loaded = set((request.scratch / "modules.txt").read_text().split())
    assert "openvino" in loaded
    assert {name.partition(".")[0] for name in loaded} & {
        "onnx",
        "onnxruntime",
        "pydantic",
        "modelyard_formats",
    } == set()
    confining = {name for name in loaded if name.startswith("modelyard_runtime")}  # the standard library's, all of them
    assert {name for name in loaded if name.startswith("modelyard")} - confining == {
        "modelyard_convert",
        "modelyard_convert.children",
        "modelyard_convert.children.protocol",
        "modelyard_convert.toolchains",
        "modelyard_convert.toolchains.fp16_range",
        "modelyard_convert.toolchains.openvino",
        "modelyard_convert.toolchains.openvino.program",
    }


def test_every_row_names_functions_of_its_program() -> None:
    for chain in TOOLCHAINS.values():
        source = chain.program.read_text()
        for row in chain.targets:
            assert all(f"def {name}(work: Work)" in source for name in (row.convert, row.check) if name), row.target
        assert chain.program.parent.name == chain.environment
        assert (chain.device, chain.python) == ("cpu", None)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, yard: Any, tmp_path: Path) -> Toolchain:
    """A toolchain with an interpreter of its own, in which nothing is installed."""
    venv.create(tmp_path / "bare", with_pip=False)
    row = replace(TARGETS["onnx-optimized"], target="bare-copy", convert="copy", check="whole")
    chain = replace(
        TOOLCHAINS["onnx"],
        name="bare",
        environment="bare",
        modules=("json",),
        targets=(row, *(replace(row, target=f"bare-{name}", convert=name) for name in ("refuse", "die", "wait"))),
        program=PROGRAMS / "bare_toolchain.py",
        python=tmp_path / "bare" / "bin" / "python",
    )
    monkeypatch.setitem(TOOLCHAINS, "bare", chain)
    for target in chain.targets:
        monkeypatch.setitem(TARGETS, target.target, target)
    yard.others.offered.add("bare")
    return chain


async def test_a_bare_interpreter_converts(yard: Any, bare: Toolchain) -> None:
    done = await yard.work(await yard.create("bare-copy"))
    assert (done.state, done.reason) == ("succeeded", None)
    assert done.artifact.parity.verdict == "passed"
    assert [file.path for file in done.artifact.files] == ["job_log.txt", "model/config.json", "model/model.onnx"]
    assert bare.python is not None
    assert f"it runs in {bare.python.parent.parent} and sees no package of others" in done.log
    limits = yard.settings.limits
    assert f"limits: {limits.memory_bytes} bytes, {limits.cpu_seconds} s; it dies with the service" in done.log
    assert "==> checking the result" in done.log


@pytest.mark.parametrize("link", ["model", "model/config.json"])
def test_the_configuration_is_written_nowhere_else(tmp_path: Path, link: str) -> None:
    """Where nothing kept the toolchain from leaving a link."""
    private, result = tmp_path / "private", tmp_path / "result"
    private.mkdir()
    (private / "config.json").write_text("kept")
    (result / link).parent.mkdir(parents=True)
    (result / link).symlink_to(private if link == "model" else private / "config.json")
    with pytest.raises(BadResult, match="links"):
        write_config(result, "{}")
    assert (private / "config.json").read_text() == "kept"


async def test_what_a_program_refuses_is_the_failure(yard: Any, bare: Toolchain) -> None:
    failed = await yard.work(await yard.create("bare-refuse"))
    assert (failed.state, failed.code, failed.reason) == ("failed", "ModelArts.3047", "it is Tuesday")
    assert yard.written(failed) == []


@pytest.mark.parametrize(
    ("refused", "said", "error"),
    [
        ("NotConvertible", ["no"], NotConvertible),
        ("ToolchainFailed", ["no"], ToolchainFailed),
        ("BadResult", ["no"], BadResult),
        ("UnsupportedOperators", ["Foo", "Bar"], UnsupportedOperators),
    ],
)
def test_every_refusal_has_its_error(refused: str, said: list[str], error: type[Failure]) -> None:
    with pytest.raises(error) as caught:
        refitted({"refused": refused, "said": said}, "some")
    assert all(each in caught.value.message for each in said)
    assert refused in {each.__name__ for each in Refusal.__subclasses__()}


@pytest.mark.parametrize("report", [{}, {"changed": "many", "what": ""}, {"refused": "Mood", "said": []}])
def test_a_report_of_another_form_is_no_result(report: dict[str, Any]) -> None:
    with pytest.raises(SubprocessFailed, match="wrong form"):
        refitted(report, "some")


def crashing(where: Callable[[dict[str, Any]], bool], folder: Path) -> Any:
    """Real children; the one that `where` says dies."""

    async def run(request: dict[str, Any], *, on_line: Any, reach: Reach | None = None) -> dict[str, Any]:
        module = "crashing_child" if where(request) else CHILDREN
        return await run_python(module, request, workdir=folder, on_line=on_line, reach=reach)

    return run


CRASHED = (SubprocessFailed, "^killed by SIGSEGV")
UNUSABLE = (BadResult, "the result is not a usable model: the runtime that loads and runs it is killed by SIGSEGV")


@pytest.mark.parametrize(
    ("which", "told"), [("sample", CRASHED), ("source", CRASHED), ("result", UNUSABLE), ("judge", CRASHED)]
)
async def test_a_crash_of_any_child_is_told_and_ends_the_others(
    bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, told: tuple[type[Exception], str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROGRAMS))

    def is_it(request: dict[str, Any]) -> bool:
        observed = {"observe": "result" if request.get("counterpart") else "source"}
        return observed.get(request["do"], request["do"]) == which

    kind, words = told
    before = set(psutil.Process().children())
    with pytest.raises(kind, match=words):
        await Converter(crashing(is_it, tmp_path), Limits())(bench.request("onnx-optimized"), on_line=ignore)
    assert set(psutil.Process().children()) <= before


async def test_a_toolchain_that_crashes_is_tried_once_more(yard: Any, bare: Toolchain) -> None:
    conversion_id = await yard.create("bare-die")
    with pytest.raises(Retry, match="killed by SIGSEGV"):
        await yard.work(conversion_id)
    failed = await yard.work(conversion_id)
    assert (failed.state, failed.code, failed.attempt) == ("failed", "ModelArts.3058", 2)
    assert failed.reason == "the converter stopped: killed by SIGSEGV"


async def test_the_wall_time_is_for_all_children_together(bench: Any, bare: Toolchain, tmp_path: Path) -> None:
    limits = ConvertSettings(convert_wall_seconds=2).limits
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(SubprocessFailed, match="did not finish within 2 s") as ended:
        await Converter(crashing(lambda request: False, tmp_path), limits)(bench.request("bare-wait"), on_line=ignore)
    assert ended.value.kind == "timeout"
    assert set(psutil.Process().children(recursive=True)) <= before


async def test_a_model_that_never_ends_does_so_at_the_limit(bench: Any, tmp_path: Path) -> None:
    """A loop that only what it computes could end: nobody can refuse it by looking at it."""
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ReduceSum", ["state"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["again"], to=TensorProto.BOOL),
        helper.make_node("Identity", ["state"], ["next"]),
    ]
    inputs = [info("turn", TensorProto.INT64, []), info("asked", TensorProto.BOOL, []), info("state", 1, None)]
    body = helper.make_graph(nodes, "body", inputs, [info("again", TensorProto.BOOL, []), info("next", 1, None)])
    true = helper.make_node("Constant", [], ["true"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
    loop = helper.make_node("Loop", ["", "true", "scores"], ["held"], body=body)
    made = bench.classifier()
    made.graph.node.extend([true, loop])
    made.graph.output[0].name = "held"
    limits = ConvertSettings(convert_wall_seconds=6).limits
    before = set(psutil.Process().children(recursive=True))
    request = bench.request("onnx-optimized", bench.package(made))
    with pytest.raises(SubprocessFailed, match="did not finish within 6 s"):
        await Converter(crashing(lambda request: False, tmp_path), limits)(request, on_line=ignore)
    assert set(psutil.Process().children(recursive=True)) <= before


async def ignore(_: str) -> None:
    """Lines are looked at elsewhere."""


def test_two_observers_never_run_at_once_and_equally_often(tmp_path: Path) -> None:
    """In threads here; the pipes are the same."""
    pipes = tmp_path / "a", tmp_path / "b"
    for pipe in pipes:
        os.mkfifo(pipe)
    running, order = threading.Lock(), list[str]()

    def runtime(name: str, seconds: float) -> Runner:
        def call(feed: Any) -> dict[str, Any]:
            assert running.acquire(blocking=False), "the other one runs"
            order.append(name)
            time.sleep(seconds)
            running.release()
            return {}

        spec = TensorSpec(name="x", dtype="float32", shape=("N",))
        return Runner(name, "f32", Signature(inputs=(spec,), outputs=()), call)

    clocks = [
        timing.Clock.warm(runtime(*each), [{"x": np.zeros(1, np.float32)}]) for each in (("a", 0.0), ("b", 0.001))
    ]
    del order[:]

    def follow() -> None:
        with closing(Talk(Turns(own=pipes[1], other=pipes[0], leads=False))) as talk:
            timing.follow(clocks[1], talk)

    other = threading.Thread(target=follow)
    other.start()
    with closing(Talk(Turns(own=pipes[0], other=pipes[1], leads=True))) as talk:
        timing.lead(clocks[0], talk)
        other.join()
    assert len(clocks[0].wall) == len(clocks[1].wall) >= timing.MIN_RUNS
    changes = sum(1 for this, following in pairwise(order) if this != following)
    assert changes >= 2 * len(clocks[0].wall) / timing.TURN_RUNS - 1
