"""Everything by hand: the command line as people and scripts use it, with a Chinese model name all the way."""

import json
import select
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from modelyard import Client
from modelyard_contracts.catalogue import TRAINING_COMPLETED
from modelyard_testkit.main_job import images, trained
from modelyard_testkit.yard import PROGRAM, Yard, eventually
from modelyard_testkit.yard_inside import as_operator, put

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

NAME = "手写数字"
SAMPLES = 60


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project("by-hand") as made:
        yield made


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("packages") / "digits", trained().files)


@pytest.fixture(scope="module")
def model(yard: Yard, client: Client, package: Path) -> dict[str, Any]:
    """Uploaded by presigned URLs and imported."""
    return yard.json("import", str(package), "--name", NAME, "--description", "从笔记本上传", client=client)


@pytest.fixture(scope="module")
def converted(yard: Yard, client: Client, model: dict[str, Any]) -> dict[str, Any]:
    return yard.json("convert", NAME, "--to", "openvino-fp16", client=client)


@pytest.fixture(scope="module")
def dataset(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    some = folder(tmp_path_factory.mktemp("datasets") / "held-out", dict(list(images(1).items())[:SAMPLES]))
    return yard.json("datasets", "add", str(some), "--name", "留出集", client=client)


@pytest.fixture(scope="module")
def competition(yard: Yard, client: Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    some = folder(tmp_path_factory.mktemp("datasets") / "hidden", dict(list(images(2).items())[:SAMPLES]))
    yard.json("datasets", "add", str(some), "--name", "hidden", "--hidden", client=client)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    options = ("--title", "无人见过", "--dataset", "hidden", "--deadline", tomorrow)
    return yard.json("competitions", "create", *options, client=client)


def test_import_and_show(yard: Yard, client: Client, model: dict[str, Any]) -> None:
    assert (model["model_name"], model["model_version"], model["model_status"]) == (NAME, "0.0.1", "published")
    listed = yard.json("models", "list", "--name", "写数", client=client)
    assert [found["model_id"] for found in listed["models"]] == [model["model_id"]]
    for reference in (NAME, f"{NAME}:0.0.1", model["model_id"]):
        assert yard.json("models", "show", reference, client=client)["model_id"] == model["model_id"]
    assert NAME in yard.command("models", "list", client=client).stdout
    assert "从笔记本上传" in yard.command("models", "show", NAME, client=client).stdout
    assert yard.json("models", "lineage", NAME, client=client)["nodes"]


def test_alias(yard: Yard, client: Client, model: dict[str, Any]) -> None:
    yard.json("models", "alias", NAME, "冠军", "--version", "0.0.1", client=client)
    assert yard.json("models", "show", f"{NAME}@冠军", client=client)["model_id"] == model["model_id"]
    assert yard.json("models", "alias", NAME, "冠军", "--remove", client=client)["aliases"] == []


def test_download(
    yard: Yard, client: Client, model: dict[str, Any], converted: dict[str, Any], package: Path, tmp_path: Path
) -> None:
    got = yard.json("models", "download", NAME, "--to", str(tmp_path / "source"), client=client)
    assert got["digest"] == model["artifacts"][0]["digest"]
    for path, content in trained().files.items():
        assert (tmp_path / "source" / path).read_bytes() == content
    options = ("--artifact", "openvino-fp16", "--to", str(tmp_path / "converted"))
    yard.json("models", "download", NAME, *options, client=client)
    assert {".xml", ".bin"} <= {path.suffix for path in (tmp_path / "converted").rglob("*")}


def test_convert(yard: Yard, client: Client, converted: dict[str, Any]) -> None:
    assert (converted["state"], converted["artifact"]["parity"]["verdict"]) == ("succeeded", "passed")
    targets = yard.json("conversions", "targets", client=client)["targets"]
    assert {"openvino-fp16", "onnx-int8-static"} <= {found["target"] for found in targets if found["offered"]}
    listed = yard.json("conversions", "list", "--model", NAME, client=client)["conversions"]
    identifier = converted["conversion_id"]
    assert identifier in [found["conversion_id"] for found in listed]
    assert yard.json("conversions", "show", identifier, client=client)["state"] == "succeeded"
    assert "parity passed" in yard.json("conversions", "log", identifier, client=client)["text"]
    assert "parity passed" in yard.command("conversions", "log", identifier, client=client).stdout
    assert "openvino-fp16" in yard.command("conversions", "show", identifier, client=client).stdout


def test_evaluate(yard: Yard, client: Client, converted: dict[str, Any], dataset: dict[str, Any]) -> None:
    assert dataset["samples"] == SAMPLES
    assert "留出集" in yard.command("datasets", "list", client=client).stdout
    for artifact in ((), ("--artifact", "openvino-fp16")):
        result = yard.json("evaluate", NAME, "--dataset", "留出集", *artifact, client=client)
        assert result["run"]["metrics"]["accuracy"] > 0.8
    listed = yard.json("evaluations", "list", "--model", NAME, client=client)["evaluations"]
    identifier = listed[0]["evaluation_id"]
    assert yard.json("evaluations", "show", identifier, client=client)["run"]["samples"] == SAMPLES
    assert yard.json("evaluations", "compare", identifier, client=client)["rows"]
    assert "Confusion matrix" in yard.command("evaluations", "show", identifier, client=client).stdout


def test_gallery(yard: Yard, client: Client, model: dict[str, Any], tmp_path: Path) -> None:
    listing = yard.json("publish", NAME, "--to", "gallery", "--title", "数字识别", client=client)
    identifier = listing["listing_id"]
    assert NAME in listing["card"]
    assert identifier in [found["listing_id"] for found in yard.json("gallery", "list", client=client)["listings"]]
    assert NAME in yard.command("gallery", "show", identifier, client=client).stdout
    yard.json("gallery", "download", identifier, "--to", str(tmp_path), client=client)
    assert (tmp_path / "model/digits.onnx").read_bytes() == trained().files["model/digits.onnx"]
    yard.json("gallery", "withdraw", identifier, client=client)


def test_competition(yard: Yard, client: Client, model: dict[str, Any], competition: dict[str, Any]) -> None:
    identifier = competition["competition_id"]
    entry = yard.json("publish", NAME, "--to", "competition", "--competition", identifier, client=client)
    assert (entry["state"], entry["score"] > 0.8) == ("scored", True)
    board = yard.json("competitions", "leaderboard", identifier, client=client)
    assert [row["model_name"] for row in board["rows"]] == [NAME]
    assert NAME in yard.command("competitions", "leaderboard", identifier, client=client).stdout
    assert yard.json("competitions", "show", identifier, client=client)["entries"] == 1
    assert identifier in [
        row["competition_id"] for row in yard.json("competitions", "list", client=client)["competitions"]
    ]
    refused = yard.command("models", "delete", NAME, "--yes", client=client, code=1)
    assert "kept" in refused.stdout


MIB = 1 << 20


class Cut(Exception):
    pass


class Counted:
    """Bytes that travelled; the line is cut after `most` of them."""

    def __init__(self, most: int | None = None) -> None:
        self.moved, self._most, self._lock = 0, most, Lock()
        self.total = self.arrived = 0

    def begun(self, total: int, arrived: int) -> None:
        self.total, self.arrived = total, arrived

    def __call__(self, count: int) -> None:
        with self._lock:
            self.moved += count
            if self._most is not None and self.moved > self._most:
                raise Cut


def test_a_cut_line_sends_and_fetches_nothing_twice(client: Client, package: Path, tmp_path: Path) -> None:
    """Of six parts four travel at a time: after as many bytes as five have, one has arrived at least."""
    large = shutil.copytree(package, tmp_path / "large")
    with (large / "model" / "weights.bin").open("wb") as file:
        file.truncate(6 * 64 * MIB)
    with pytest.raises(Cut):
        client.imports.upload("大模型", large, progress=Counted(5 * 64 * MIB))
    counted = Counted()
    made = client.imports.upload("大模型", large, progress=counted, begun=counted.begun)
    assert counted.arrived >= 64 * MIB
    assert counted.moved == counted.total - counted.arrived
    model = client.imports.wait(made["model_id"])
    with pytest.raises(Cut):
        client.models.download(model["model_id"], tmp_path / "back", progress=Counted(100 * MIB))
    counted = Counted()
    client.models.download(model["model_id"], tmp_path / "back", progress=counted, begun=counted.begun)
    assert counted.arrived >= 100 * MIB - 4 * MIB
    assert counted.moved == counted.total - counted.arrived
    assert {path: size(tmp_path / "back" / path) for path in names(large)} == {
        path: size(large / path) for path in names(large)
    }
    assert names(tmp_path / "back") == names(large)


def names(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def size(path: Path) -> int:
    return path.stat().st_size


def test_the_same_folder_is_not_sent_again(yard: Yard, client: Client, package: Path) -> None:
    yard.json("import", "upload", str(package), "--name", "再来", client=client)
    again = yard.command("import", "upload", str(package), "--name", "再来", client=client)
    assert "are there already" in again.stderr
    assert "再来 0.0.2" in again.stdout
    quiet = yard.command("--quiet", "import", str(package), "--name", "再来", client=client)
    assert quiet.stderr == ""


def test_the_register(yard: Yard, client: Client, model: dict[str, Any], package: Path, tmp_path: Path) -> None:
    """Two versions of a Chinese name, through every command of the register."""
    name, options = "登记", ("--label", "候选", "--doc", "卡片=https://example.org/card")
    for number in ("0.0.1", "0.0.2"):
        yard.json("import", str(package), "--name", name, "--version", number, *options, client=client)
    listed = yard.json("models", "list", "--label", "候选", "--all", "--sort-by", "model_version", client=client)
    assert [found["model_version"] for found in listed["models"]] == ["0.0.2", "0.0.1"]
    page = yard.json("models", "list", "--label", "候选", "--limit", "1", client=client)
    rest = yard.json("models", "list", "--label", "候选", "--cursor", page["next_cursor"], client=client)
    assert [found["model_version"] for found in page["models"] + rest["models"]] == ["0.0.2", "0.0.1"]
    changed = yard.json("models", "update", f"{name}:0.0.1", "--description", "改过", "--no-labels", client=client)
    assert (changed["description"], changed["labels"]) == ("改过", [])
    history = yard.json("models", "history", f"{name}:0.0.1", client=client)["records"]
    assert [record["action"] for record in history][:2] == ["created", "published"]
    assert history[-1]["changes"]["description"]["after"] == "改过"
    assert yard.json("models", "history", f"{name}:0.0.1", "--verify", client=client)["intact"]
    assert yard.json("models", "compare", f"{name}:0.0.1", f"{name}:0.0.2", client=client)["signature_changes"] == []
    assert yard.json("models", "verify", name, client=client)["intact"]
    files = yard.json("models", "files", name, client=client)["files"]
    assert {link["path"] for link in files} == names(package)
    preview = yard.json("models", "delete", name, "--dry-run", "--cascade", client=client)
    assert {each["model_version"] for each in preview["versions"]} == {"0.0.1", "0.0.2"}
    traced = yard.json("trace", "--name", name, client=client)
    assert {node["label"] for node in traced["nodes"] if node["kind"] == "version"} >= {
        f"{name} 0.0.1",
        f"{name} 0.0.2",
    }
    yard.command("models", "lineage", name, "--svg", str(tmp_path / "线.svg"), client=client)
    assert "<svg" in (tmp_path / "线.svg").read_text("utf-8")


def test_who_was_champion_when(yard: Yard, client: Client, package: Path) -> None:
    name = "冠军史"
    for number in ("0.0.1", "0.0.2"):
        yard.json("import", str(package), "--name", name, "--version", number, client=client)
        yard.json("aliases", "move", name, "生产", number, client=client)
    assert yard.json("aliases", "show", name, "生产", client=client)["model_version"] == "0.0.2"
    moves = yard.json("aliases", "history", name, "生产", client=client)["moves"]
    assert [(move["previous_model_version"], move["model_version"]) for move in moves] == [
        ("0.0.1", "0.0.2"),
        (None, "0.0.1"),
    ]
    before = str(moves[0]["at"] - 1)
    assert yard.json("aliases", "show", name, "生产", "--at", before, client=client)["model_version"] == "0.0.1"
    held = yard.command("models", "delete", f"{name}@生产", "--yes", client=client, code=1)
    assert "生产" in held.stdout


def test_what_imports_lean_on(yard: Yard, client: Client) -> None:
    templates = yard.json("templates", "list", "--type", "ONNX", client=client)["templates"]
    assert [found["template_id"] for found in templates] == ["onnx"]
    assert "model_folder" in yard.command("templates", "show", "onnx", client=client).stdout
    runtimes = yard.json("runtimes", "list", "--type", "TensorFlow", client=client)["runtimes"]
    assert {found["model_type"] for found in runtimes} == {"TensorFlow"}
    assert "predictive-analysis" in yard.command("infer-formats", client=client).stdout
    assert yard.json("rules", "dry-run", "--job-name", "no-such-*", client=client)["taken"] == 0


def test_audit(yard: Yard) -> None:
    """As the operator: bucket and register agree, or the strays are named."""
    audited = subprocess.run(
        [PROGRAM, "audit", "--json"], env=yard.environment(), capture_output=True, text=True, check=False
    )
    view = json.loads(audited.stdout)
    assert view["state"] == "succeeded"
    assert audited.returncode == (1 if view["stray_objects"] or view["incomplete"] else 0)


def test_training_job(yard: Yard, client: Client, tmp_path: Path) -> None:
    output = put(yard, "training", "by-hand/V001", trained().files)
    yard.json(
        "rules", "create", "--name", "夜间", "--job-name", "by-hand-*", "--model-name", "夜间模型",
        "--min-metric", "accuracy=0.5", client=client,
    )  # fmt: skip
    said = (
        "training", "complete", "--job-name", "by-hand-job", "--output", output, "--event-id", "one-and-the-same",
        "--metric", "accuracy=0.9", "--parameter", "seed=7", "--framework", "scikit-learn",
        "--dataset-uri", "s3://datasets/x/", "--repository", "https://git.example/x", "--commit", "abc",
    )  # fmt: skip
    job = yard.json(*said, client=client)["training_job_id"]

    def versions() -> list[dict[str, str]]:
        made: list[dict[str, str]] = client.get(f"training-jobs/{job}")["imports"]
        return made

    (made,) = eventually(versions, "the version that the rule makes")
    eventually(lambda: client.get(f"models/{made['model_id']}")["model_status"] == "published", "its import")
    assert yard.json("training", "show", job, client=client)["imports"] == [made]
    assert yard.json("training", "list", client=client)["total_count"] == 1
    assert "夜间" in yard.command("rules", "list", client=client).stdout
    (rule,) = yard.json("rules", "list", client=client)["rules"]
    yard.json("rules", "delete", rule["rule_id"], client=client)


def test_delete(yard: Yard, client: Client, package: Path) -> None:
    made = yard.json("import", str(package), "--name", "一次性", "--version", "3.2.1", client=client)
    asked = yard.command("models", "delete", "一次性", client=client, text="n\n", code=1)
    assert "Delete 一次性" in asked.stderr
    report = yard.json("models", "delete", "一次性:3.2.1", "--yes", client=client)
    assert report["delete_success_list"] == [made["model_id"]]
    assert "一次性" in yard.command("models", "show", "一次性", client=client, code=2).stderr


def test_dead_letters(yard: Yard) -> None:
    """A message that is none: it is kept for an operator to look at, and comes back when it is sent again as it is."""
    as_operator(yard, lambda bus: bus.js.publish(TRAINING_COMPLETED.subject, b"no JSON at all"))

    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = yard.json("dlq", "list")["dead_letters"]
        return found

    (letter,) = eventually(letters, "the dead letter")
    assert letter["subject"] == TRAINING_COMPLETED.subject
    shown = yard.json("dlq", "show", str(letter["sequence"]))
    assert shown["payload"] == "no JSON at all"
    assert shown["reason"]
    yard.json("dlq", "replay", str(letter["sequence"]))
    again = eventually(lambda: [one for one in letters() if one["sequence"] != letter["sequence"]], "its return")
    assert len(again) == 1
    assert "training.completed" in yard.command("dlq", "list").stdout
    yard.json("dlq", "drop", str(again[0]["sequence"]))
    assert letters() == []
    yard.command("dlq", "show", str(again[0]["sequence"]), code=3)


def test_event_tail(yard: Yard, client: Client, tmp_path: Path) -> None:
    """One JSON event on each line, as it happens."""
    tail = subprocess.Popen(
        [PROGRAM, "events", "--json"], env=yard.environment(client), stdout=subprocess.PIPE, text=True
    )
    assert tail.stdout
    lines = tail.stdout
    try:
        number = iter(range(1000))

        def heard() -> dict[str, Any] | None:
            """The tail has no way to say that it listens, so something happens until it is told of."""
            client.post("models", {"model_name": f"tail-{next(number)}", "source_location": "s3://training/none/"})
            ready, _, _ = select.select([lines], [], [], 0.5)
            return json.loads(lines.readline()) if ready else None

        event = eventually(heard, "an event on the tail")
    finally:
        tail.terminate()
        tail.wait()
        lines.close()
    assert event["type"].startswith("modelyard.evt.")
    assert event["project"] == "by-hand"


def test_tokens(yard: Yard, client: Client) -> None:
    made = yard.json("tokens", "create", "ci", "--role", "writer", client=client)
    assert made["token"].startswith("my_")
    listed = yard.command("tokens", "list", client=client).stdout
    assert "ci" in listed
    assert made["token"] not in listed
    yard.json("tokens", "revoke", "ci", client=client)


def test_login_stands_in_for_the_environment(yard: Yard, client: Client, tmp_path: Path) -> None:
    status = yard.json("status", client=client)
    assert status["ready"] is True
    assert set(status["checks"].values()) == {"ok"}
    assert status["version"] == version("modelyard-gateway")
    secret = yard.json("tokens", "create", "laptop", "--role", "reader", client=client)["token"]
    bare = {name: value for name, value in yard.environment().items() if not name.startswith("MODELYARD_")}
    bare |= {"XDG_CONFIG_HOME": str(tmp_path)}

    def said(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAM), *arguments]
        return subprocess.run(command, env=bare, input=text, capture_output=True, text=True, check=False)

    assert said("login", client.connection.url, "--token-stdin", text="my_nonsense").returncode == 3
    assert said("models", "list").returncode == 2
    assert said("login", client.connection.url, "--token-stdin", text=secret).returncode == 0
    mine = json.loads(said("whoami", "--json").stdout)
    assert (mine["name"], mine["project"], mine["role"]) == ("laptop", client.connection.project, "reader")
    assert said("models", "list").returncode == 0
    yard.command("tokens", "revoke", "laptop", client=client)
    assert said("models", "list").returncode == 3
    assert said("logout").returncode == 0
    assert said("models", "list").returncode == 2


def test_access_keys(yard: Yard, client: Client) -> None:
    made = yard.json("access-keys", "create", "ci", "--role", "writer", client=client)
    rotated = yard.json("access-keys", "rotate", "ci", client=client)
    assert [pair["access_key_id"] for pair in rotated["former"]] == [made["access_key_id"]]
    listed = yard.command("access-keys", "list", "--json", client=client).stdout
    assert rotated["access_key_id"] in listed
    assert made["secret_access_key"] not in listed
    assert rotated["secret_access_key"] not in listed
    yard.json("access-keys", "revoke", "ci", client=client)


def test_exit_codes(yard: Yard, client: Client) -> None:
    yard.command("models", "show", "nobody", client=client, code=2)
    yard.command("import", "s3://training/none/", "--name", "two words", client=client, code=3)
    yard.command("import", "s3://training/none/", "--name", "none", client=client, code=1)
    environment = yard.environment(client) | {"MODELYARD_URL": "http://127.0.0.1:9"}
    done = subprocess.run([PROGRAM, "models", "list"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "modelyard up" in done.stderr
