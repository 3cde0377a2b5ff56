"""What somebody on the same machine, outside the compose networks, can do; and what becomes of it when it stops."""

import json
import re

from modelyard import Client
from modelyard.client import at

from .conftest import PLAIN, ROOT, Composed, said

ROLES = ("import", "import-worker", "convert", "convert-worker", "evaluate", "evaluate-worker")
OURS = ("gateway", "version", "publish", *ROLES)


def test_the_main_job(composed: Composed) -> None:
    found = re.search(r"^In another terminal:\n\n```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert found
    commands = [line for line in found[1].splitlines() if line.startswith("modelyard ") and "events" not in line]
    assert len(commands) > 5
    shown = composed.modelyard("\n".join(commands))
    assert re.search(r"openvino-fp16.*passed", shown), shown
    composed.modelyard("modelyard models download digits --to fetched")
    sample, fetched = composed.folder / "sample/digits/model", composed.folder / "fetched"
    names = {path.name for path in sample.iterdir()}
    files = {path.name: path for path in fetched.rglob("*") if path.name in names}
    assert files.keys() == names
    assert all(files[name].read_bytes() == (sample / name).read_bytes() for name in names)


def test_nobody_came_near_a_limit(composed: Composed) -> None:
    assert set(composed.inspect("{{.State.OOMKilled}} {{.RestartCount}}").values()) == {"false 0"}
    health = composed.inspect("{{if .State.Health}}{{.State.Health.Status}}{{end}}")
    assert {name: health[name] for name in OURS} == dict.fromkeys(OURS, "healthy")


def test_what_is_heavy_lies_on_the_disk_once() -> None:
    form = "{{json .RootFS.Layers}}"
    images = [f"modelyard/{name}" for name in ("convert", "evaluate", "import")]
    first, *others = map(json.loads, said(["docker", "inspect", "--format", form, *images], PLAIN, ROOT).split())
    shared = [layer for layer in first if all(layer in other for other in others)]
    assert first[: len(shared)] == shared
    assert len(first) - len(shared) == 4  # its lock, what it alone needs, itself, the health check


def test_work_outlives_a_stop(composed: Composed) -> None:
    with Client(composed.connection) as client:
        (model,) = client.get("models", model_name="digits")["models"]
        order = {"model_id": model["model_id"], "order": {"target": "onnx-int8-static"}}
        place = at("conversions", client.post("conversions", order)["conversion_id"])
        composed.compose("stop", "convert-worker")
        assert composed.inspect("{{.State.ExitCode}}")["convert-worker"] == "0"
        composed.compose("up", "--detach", "--wait")
        ended = client.follow(lambda: client.get(place), "state", lambda _: None)
    assert ended["artifact"]["parity"]["verdict"] == "passed"


def test_all_end_when_told_and_keep_what_they_have(composed: Composed) -> None:
    composed.compose("stop")
    ended = composed.inspect("{{.State.ExitCode}}")
    assert {name: ended[name] for name in OURS} == dict.fromkeys(OURS, "0")
    composed.compose("down")
    composed.compose("up", "--detach", "--wait")
    assert "openvino-fp16" in composed.modelyard("modelyard models show digits")
