"""The register from the command line: what is asked, what is paged, and which outcomes end with 1."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client
from modelyard.cli.session import instant, moment
from modelyard_contracts.calls import version

from .conftest import Scripted, Uploads
from .gateway_replies import MODEL, file_links, model, summary_of, uid
from .register_replies import DAMAGED, HISTORY, VERDICT, audit, record, verification

PROGRAM = [sys.executable, "-c", "from modelyard.cli import main; main()"]


def asked(yard: Scripted, path: str) -> list[dict[str, str]]:
    return [each.query for each in yard.asked if each.path == path]


def test_every_page_is_followed(yard: Scripted, run: Callable[..., Any]) -> None:
    row = summary_of(model())
    first = version.VersionPage(total_count=3, count=2, models=(row, row), next_cursor="after 2")
    last = version.VersionPage(total_count=None, count=1, models=(row,))
    yard.on("GET models", first, last)
    listed = run("models", "list", "--all", "--label", "demo", "--json").json
    assert (listed["count"], len(listed["models"])) == (3, 3)
    cursors = [query.get("cursor") for query in asked(yard, "models")]
    assert cursors == [None, "after 2"]
    assert {query["label"] for query in asked(yard, "models")} == {"demo"}
    yard.on("GET models", first)
    assert "There are more: --all shows every page." in run("models", "list").out
    yard.on("GET models", first, last)
    shown = run("models", "list", "--all").out
    assert ("2 of 3 versions" in shown, "1 versions" in shown) == (True, True)


def test_files_come_in_pages(client: Client, yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    links = [yard.keeps(f"o{number}", b"x" * number, f"model/{number}") for number in range(3)]
    pages = [file_links(link) for link in links]
    pages[:2] = [page.model_copy(update={"next_after": page.files[0].path}) for page in pages[:2]]
    path = f"GET models/{MODEL}/files"
    yard.on(path, *pages)
    assert [link["path"] for link in client.models.files(MODEL)["files"]] == ["model/0", "model/1", "model/2"]
    assert asked(yard, f"models/{MODEL}/files")[-1] == {"after": "model/1"}
    yard.on(path, *pages)
    client.models.download(MODEL, tmp_path)
    assert [(tmp_path / link["path"]).stat().st_size for link in links] == [0, 1, 2]


def test_history_comes_in_pages(yard: Scripted, run: Callable[..., Any]) -> None:
    path = f"models/{MODEL}/history"
    pages = [HISTORY, (record(4, "aliased", aliases=([], ["champion"])),), ()]
    yard.on(f"GET {path}", *(version.History(model_id=MODEL, records=page) for page in pages))
    records = run("models", "history", MODEL, "--json").json["records"]
    assert [each["seq"] for each in records] == [1, 2, 3, 4]
    assert [query["after"] for query in asked(yard, path)] == ["0", "3", "4"]


def test_a_changed_record_is_a_failure(yard: Scripted, run: Callable[..., Any]) -> None:
    broken = VERDICT.model_copy(update={"intact": False, "broken_at": 2, "reason": "its hash does not fit"})
    yard.on(f"GET models/{MODEL}/history/verification", broken)
    ended = run("models", "history", MODEL, "--verify")
    assert (ended.code, ended.err) == (1, "failed: record 2: its hash does not fit\n")


def test_a_flipped_byte_is_a_failure(yard: Scripted, run: Callable[..., Any], no_pauses: list[float]) -> None:
    yard.on(f"GET models/verifications/{uid(70)}", verification("running"), verification("succeeded", DAMAGED))
    ended = run("models", "verify", MODEL)
    assert ended.code == 1
    assert "model/数字.onnx  digest  its SHA-256 is another one" in ended.out
    assert "1 files of" in ended.err
    yard.on(f"GET models/verifications/{uid(70)}", verification("failed"))
    ended = run("models", "verify", MODEL)
    assert (ended.code, ended.err) == (1, "failed: storage is away\n")


def test_strays_are_a_failure_until_they_are_repaired(
    yard: Scripted, run: Callable[..., Any], no_pauses: list[float]
) -> None:
    found: dict[str, Any] = {
        "stray_objects": 30,
        "stray_bytes": 2048,
        "strays": tuple(f"artifacts/p1/models/{number}" for number in range(30)),
        "incomplete": (DAMAGED,),
    }
    yard.on(f"GET audits/{uid(71)}", audit("succeeded", **found))
    ended = run("audit")
    assert (ended.code, yard.last("POST").body) == (1, {"repair": False})
    assert "30 objects, 2.0 KiB" in ended.out
    assert "Only the first 20 are shown" in ended.out
    assert "modelyard audit --repair" in ended.err
    yard.on(f"GET audits/{uid(71)}", audit("succeeded", repair=True, repaired=True, **found))
    assert run("audit", "--repair").code == 0
    assert yard.last("POST").body == {"repair": True}


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1795000000000", "1795000000000"),
        ("2026-11-18T11:06:40", "1795000000000"),
        ("2026-11-18T12:06:40+01:00", "1795000000000"),
        ("2026-11-18T11:06:40Z", "1795000000000"),
        ("2026-11-18", "1794960000000"),
    ],
)
def test_who_held_an_alias_at_a_time(yard: Scripted, run: Callable[..., Any], text: str, ms: str) -> None:
    assert run("aliases", "show", "digits", "champion", "--at", text).code == 0
    assert yard.asked[-1].query == {"at": ms}


def test_what_is_changed(yard: Scripted, run: Callable[..., Any]) -> None:
    changes: dict[tuple[str, ...], dict[str, Any]] = {
        ("--description", ""): {"description": ""},
        ("--label", "a", "--label", "b"): {"labels": ["a", "b"]},
        ("--no-labels", "--doc", "card=https://x.org"): {
            "labels": [],
            "model_docs": [{"doc_name": "card", "doc_url": "https://x.org"}],
        },
        ("--no-docs",): {"model_docs": []},
    }
    for options, body in changes.items():
        assert run("models", "update", MODEL, *options).code == 0
        assert yard.last("PATCH").body == body
    run("aliases", "move", "digits", "champion", "0.0.1")
    assert yard.last("PUT").body == {"model_version": "0.0.1"}


def test_what_is_compared_and_traced(yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    other = uid(50)
    run("models", "compare", MODEL, other)
    assert yard.asked[-1].path == "models/compare"
    assert yard.multi[-1] == [("model_id", MODEL), ("model_id", other)]
    run("trace", "--training-job", "digits/V001")
    assert yard.asked[-1].query == {"training_job": "digits/V001"}
    picture = tmp_path / "线.svg"
    assert str(picture.name) in run("models", "lineage", MODEL, "--svg", str(picture)).out.replace("\n", "")
    assert picture.read_text() == "<svg/>"
    assert run("trace", "--name", "digits", "--svg", str(picture), "--json").json == {"file": str(picture)}


def test_a_dry_run_of_a_rule_that_there_is(yard: Scripted, run: Callable[..., Any]) -> None:
    run("rules", "dry-run", "nightly", "--min-metric", "f1=0.5")
    assert yard.last("POST").body == {
        "name": "nightly",
        "job_name": "digits-*",
        "model_name": "digits",
        "min_metrics": {"accuracy": 0.9, "f1": 0.5},
        "runs": 1000,
    }


def test_what_automatic_learning_made_is_not_downloaded(
    yard: Scripted, run: Callable[..., Any], tmp_path: Path
) -> None:
    message = "versions of automatic learning (source_type auto) are never downloaded"
    yard.on(f"GET models/{MODEL}/files", yard.refusal(403, error_msg=message))
    ended = run("models", "download", MODEL, "--to", str(tmp_path / "out"))
    assert ended.code == 3
    assert message in ended.err
    assert not (tmp_path / "out").exists()


def test_storage_that_this_machine_does_not_reach_is_named(
    yard: Scripted, run: Callable[..., Any], tmp_path: Path
) -> None:
    links = {"files": [yard.keeps("far", b"x", url="http://127.0.0.1:9/far?signature=secret")]}
    yard.on(f"GET models/{MODEL}/files", links)
    ended = run("models", "download", MODEL, "--to", str(tmp_path / "out"))
    assert ended.code == 4
    assert "far: storage at 127.0.0.1:9 did not send it" in ended.err
    assert "MODELYARD_S3_PUBLIC_ENDPOINT" in ended.err
    assert "modelyard up" not in ended.err
    assert "secret" not in ended.err


def test_ctrl_c_says_how_to_go_on(yard: Scripted, uploads: Uploads, environment: dict[str, str], package: Path) -> None:
    uploads.reach = lambda url: url.replace("/storage/", "/slowly/")
    yard.on("PUT slowly", 404)
    process = subprocess.Popen(
        [*PROGRAM, "import", str(package), "--name", "digits"], stderr=subprocess.PIPE, text=True
    )
    while not any("slowly" in each.path for each in yard.asked):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert "run the same command again to go on" in said


@pytest.mark.parametrize(
    ("zone", "shown", "typed"),
    [("UTC", "2026-11-18 11:06 UTC", 1_795_000_000_000), ("Asia/Shanghai", "2026-11-18 19:06 CST", 1_794_971_200_000)],
)
def test_times_are_those_of_the_machine(monkeypatch: pytest.MonkeyPatch, zone: str, shown: str, typed: int) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    assert moment(1_795_000_000_000) == shown
    assert instant("2026-11-18T11:06:40") == typed
    assert instant("2026-11-18T11:06:40Z") == 1_795_000_000_000
