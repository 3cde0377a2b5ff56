"""Every command once: as a table of 80 columns, and as JSON. The replies are the contract's own shapes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from .conftest import Scripted
from .gateway_replies import COMPETITION, CONVERSION, EVALUATION, JOB, LISTING, MODEL

COMMANDS: dict[str, str] = {
    "models list --name dig --status published --sort-by model_version": "digits  0.0.1    ONNX  74.7 KiB",
    "models show digits": "onnx-int8-static",
    "models delete digits:0.0.1 --yes": "deleted",
    "models download digits --artifact openvino-fp16": "Downloaded and verified",
    "models lineage digits@champion": "training-job digits-mlp V001",
    "models alias digits": "champion",
    "models alias digits champion --version 0.0.1": "champion",
    "models alias digits champion --remove": "champion",
    "import s3://training/digits/V001/ --name digits --version 0.0.1 --label demo": "digits 0.0.1",
    "import s3://training/digits/V001/ --name digits --no-wait": "published",
    "import PACKAGE --name digits": "digits 0.0.1",
    "import storage s3://training/digits/V001/ --by-reference --name digits --doc card=https://x.org": "digits 0.0.1",
    "import upload PACKAGE --name digits --label demo --version 0.0.1": "digits 0.0.1",
    "import --name digits PACKAGE": "digits 0.0.1",
    "import training digits-mlp": "digits 0.0.1",
    "import training digits-mlp V001 --name digits --description 手写": "digits 0.0.1",
    f"import training {JOB} --no-wait": "digits 0.0.1",
    "import template onnx --input model_folder=s3://training/onnx/ --name digits": "digits 0.0.1",
    "import template ONNX-通用 --input m=s3://b/x/ --mode undefined --name digits": "digits 0.0.1",
    "import image ghcr.io/team/app:1.4 --config s3://bucket/app/config.json --name app": "digits 0.0.1",
    "import image ghcr.io/team/app:1.4 --config CONFIG --platform linux/arm64 --name app": "digits 0.0.1",
    "models list --all --label demo --type ONNX": "#demo",
    "models list --cursor abc --limit 5 --not-type Image --exact --name digits": "digits  0.0.1",
    "models update digits --label candidate --doc card=https://x.org": "candidate",
    "models update digits --description 新 --no-labels --no-docs": "digits 0.0.1",
    "models delete digits --dry-run --cascade": "would stay: alias champion",
    "models history digits": "publishing → published",
    "models history digits --verify": "all 3 records",
    f"models compare digits {MODEL} digits@champion": "wants float32",
    "models files digits --artifact openvino-fp16": "digest sha256:cdcd",
    "models verify digits": "as the manifest says",
    "models copy digits:0.0.1 --name digits-eu --label eu": "published",
    "models lineage digits --svg SVG": "lineage.svg",
    "trace --dataset s3://datasets/digits/": "training-job digits-mlp V001",
    "trace --code abc --svg SVG": "lineage.svg",
    "trace --training-job digits-mlp/V001": "made",
    "trace --name digits": "made",
    "aliases list digits": "alice",
    "aliases show digits champion": "digits 0.0.1",
    "aliases show digits champion --at 2026-11-22T10:00:00+01:00": "digits 0.0.1",
    "aliases move digits champion 0.0.1": "champion",
    "aliases remove digits champion": "champion",
    "aliases history digits champion": "0.0.2",
    "templates list --type ONNX --engine onnx --environment gpu --keyword 通用": "onnx",
    "templates show ONNX-通用": "the folder with the",
    "templates create CONFIG": "ONNX-通用",
    "templates delete onnx": "is deleted",
    "runtimes list --type TensorFlow": "tf2.1-python3.7",
    "infer-formats": "predictive-analysis",
    "rules dry-run --job-name digits-* --min-metric accuracy=0.92": "reach 0.92",
    "rules dry-run nightly --runs 10": "1 of 2 runs",
    "audit": "3 versions, 12 objects",
    "audit --repair": "3 versions, 12 objects",
    "convert digits --to onnx-int8-static --option per_channel=true --tolerance max_rel_error=0.5": "succeeded",
    "convert digits --to onnx-int8-static --calibration digits-held-out --no-wait": "initialising",
    "conversions targets": "per_channel, method",
    "conversions list --model digits --state succeeded": CONVERSION,
    f"conversions show {CONVERSION}": "onnx-int8-static",
    f"conversions log {CONVERSION}": "line 1\n",
    f"conversions result {CONVERSION}": "Downloaded and verified",
    f"conversions delete {CONVERSION}": "kept: it runs",
    "datasets add s3://datasets/digits/ --name digits-held-out": "360",
    "datasets add PACKAGE --name digits-held-out --kind npz --hidden": "360",
    "datasets list": "digits-held-out  image-folder",
    "datasets show digits-held-out": "0 (36), 1 (36)",
    "datasets delete digits-held-out --yes": "its files stay",
    "evaluate digits --dataset digits-held-out --artifact source": "Confusion matrix",
    "evaluate digits --dataset digits-held-out --no-wait": "12/360",
    f"evaluate digits --dataset digits-held-out --again {EVALUATION}": f"evaluations compare {EVALUATION}",
    "evaluations list --model digits": "digits-held-out",
    f"evaluations show {EVALUATION} --run V0001": "350 of 360 samples are right",
    f"evaluations plots {EVALUATION} --run V0001": "roc.png",
    f"evaluations compare {EVALUATION}": "+1.39",
    f"evaluations stop {EVALUATION} --run V0001": "stopped",
    f"evaluations delete {EVALUATION}": "is deleted",
    "publish digits --to gallery --title Digits --description small": LISTING,
    f"publish digits --to competition --competition {COMPETITION} --artifact source": "0.9694",
    f"publish digits --to competition --competition {COMPETITION} --no-wait": "submitted",
    "gallery list --text digits": LISTING,
    f"gallery show {LISTING}": "| name | digits |",
    f"gallery download {LISTING}": "数字.onnx",
    f"gallery withdraw {LISTING}": "is withdrawn",
    "competitions create --title Digits --dataset digits-held-out --deadline 2027-01-31T12:00:00": "5",
    "competitions list": COMPETITION,
    f"competitions show {COMPETITION}": "who reads best",
    f"competitions leaderboard {COMPETITION}": "0.9900",
    "training complete --job-name digits-mlp --output s3://training/digits/V001": "digits-mlp V001",
    "training list --job-name digits-*  --job-version V001 --status completed --offset 1": "accuracy=0.9722",
    f"training show {JOB}": "does not reach 0.99",
    "rules create --name nightly --job-name digits-* --model-name digits --min-metric accuracy=0.9": "accuracy ≥",
    "rules list": "openvino-fp16",
    "rules delete nightly": "is deleted",
    "dlq list": "evaluation.succeeded",
    "dlq show 7": '{"id": "e-1"}',
    "dlq replay 7": "on its way",
    "dlq drop 7": "dropped",
    "tokens create laptop --role writer": "the-secret\n",
    "tokens list": "laptop",
    "tokens revoke laptop": "is revoked",
    "access-keys create terraform --role writer": "MY0123 the-secret\n",
    "access-keys list": "MY0122 until 2026-",
    "access-keys rotate terraform --hours 1.5": "MY0123 the-secret\n",
    "access-keys revoke terraform": "is revoked",
    "projects create other": "the-secret\n",
    "projects list": "p2       Vision",
    "status": "convert  ok",
    "whoami": "writer",
    "logout": "nothing was kept",
}


def words(command: str, package: Path, tmp_path: Path) -> list[str]:
    stands_for = {"PACKAGE": package, "CONFIG": package / "config.json", "SVG": tmp_path / "lineage.svg"}
    parts = [str(stands_for.get(part, part)) for part in command.split()]
    return [*parts, "--to", str(tmp_path / "out")] if {"download", "plots", "result"} & set(parts) else parts


def test_a_version_says_what_it_takes_and_gives(run: Callable[..., Any], yard: Scripted) -> None:
    rows = [line.split() for line in run("models", "show", "digits").out.splitlines()]
    assert ["input", "image", "float32", "[n,", "1,", "8,", "?]"] in rows
    assert ["output", "scores", "float32", "[n,", "10]"] in rows
    assert ["opset", "ai.onnx", "17,", "ai.onnx.ml", "3"] in rows
    assert ["parameters", "12,345"] in rows


@pytest.mark.parametrize("command", COMMANDS)
def test_for_people(
    yard: Scripted, run: Callable[..., Any], package: Path, tmp_path: Path, no_pauses: list[float], command: str
) -> None:
    ended = run(*words(command, package, tmp_path))
    assert ended.code == 0, ended.err
    expected = COMMANDS[command]
    unbroken = "".join(ended.out.split())  # a long path is folded wherever the terminal ends
    assert expected in (ended.out if expected.split() != [expected] else unbroken), ended.out
    wide = [line for line in ended.out.splitlines() if cell_len(line.rstrip()) > 80 and str(tmp_path) not in line]
    assert [line for line in wide if not line.startswith("plots: ")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_for_programs(
    yard: Scripted, run: Callable[..., Any], package: Path, tmp_path: Path, no_pauses: list[float], command: str
) -> None:
    ended = run(*words(command, package, tmp_path), "--json")
    assert ended.code == 0, ended.err
    assert isinstance(ended.json, dict)


def test_ids_are_never_broken(yard: Scripted, run: Callable[..., Any]) -> None:
    for command in (["conversions", "list"], ["gallery", "list"], ["competitions", "list"], ["training", "list"]):
        assert "0197f3a2-0000-7000-8000-0000000000" in run(*command).out
