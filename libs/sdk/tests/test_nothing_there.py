"""What people read where there is nothing, or not what they typed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Scripted
from .gateway_replies import COMPETITION_VIEW, LISTING_SUMMARY, MODEL, model, summary_of

EMPTY = {
    "training list": ("training-jobs", "training_jobs", "No training run like that"),
    "rules list": ("import-rules", "rules", "No import rules"),
    "gallery list": ("gallery", "listings", "No such listings"),
    "competitions list": ("competitions", "competitions", "No competitions"),
    "datasets list": ("datasets", "datasets", "No datasets"),
    "conversions list": ("conversions", "conversions", "No such conversions"),
    "evaluations list": ("evaluations", "evaluations", "No such evaluations"),
    "templates list": ("models/template", "templates", "No such templates"),
    "dlq list": ("dead-letters", "dead_letters", "No dead letters"),
    "access-keys list": ("access-keys", "access_keys", "No access keys"),
}


@pytest.mark.parametrize("command", EMPTY)
def test_an_empty_list_says_so_and_not_a_table_of_nothing(
    yard: Scripted, run: Callable[..., Any], command: str
) -> None:
    path, key, said = EMPTY[command]
    yard.on(f"GET {path}", {key: [], "count": 0, "total_count": 0})
    [line] = run(*command.split()).out.splitlines()
    assert line.startswith(said)
    assert json.loads(run(*command.split(), "--json").out)[key] == []


def test_commands_that_an_empty_list_names_exist(yard: Scripted, run: Callable[..., Any]) -> None:
    for command, (path, key, _) in EMPTY.items():
        yard.on(f"GET {path}", {key: [], "count": 0, "total_count": 0})
        if "--help" in (said := run(*command.split()).out):
            named = said.partition("'modelyard ")[2].partition(" --help'")[0]
            assert run(*named.split(), "--help").code == 0


@pytest.mark.parametrize("asked", ["show digits chmpion", "remove digits chmpion", "history digits chmpion"])
def test_an_alias_that_is_not_there_is_told_with_one_that_is_like_it(
    yard: Scripted, run: Callable[..., Any], asked: str
) -> None:
    said = run("aliases", *asked.split())
    assert said.code == 2
    assert "'digits' has no alias 'chmpion'; did you mean 'champion'?" in said.err


def test_a_number_that_is_not_there_is_told_with_those_that_are(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on("PUT model-names/digits/aliases/champion", 404)
    said = run("aliases", "move", "digits", "champion", "9.9.9")
    assert "no model 'digits:9.9.9'" in said.err
    assert "'digits' has 0.0.1" in said.err


def test_aliases_of_a_name_that_nobody_has(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on("GET model-names/digts/aliases", {"aliases": []})
    yard.on("GET models", _page(), _page(), _page(summary_of(model())))
    assert "no model 'digts' in project 'p1'; did you mean 'digits'?" in run("aliases", "list", "digts").err


def _page(*rows: Any) -> dict[str, Any]:
    found = [row.model_dump(mode="json") for row in rows]
    return {"models": found, "count": len(found), "total_count": len(found), "next_cursor": None}


def test_a_deleted_version_is_told_so_and_until_when(yard: Scripted, run: Callable[..., Any]) -> None:
    gone = _page(summary_of(model(archived_at=1_790_000_000_000, expires_at=1_800_000_000_000)))
    yard.on("GET models", _page(), gone, gone)
    said = run("models", "show", "digits:0.0.1")
    assert "'digits:0.0.1' was deleted; until 2027-01-15 08:00 UTC 'modelyard models restore" in said.err
    assert "2027-01-15 08:00" in run("models", "list", "--archived").out


def test_an_archived_version_is_told_so(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on("GET models", _page(), _page(summary_of(model())))
    said = run("models", "show", "digits:0.0.1")
    assert "'digits:0.0.1' is archived; 'modelyard models restore digits:0.0.1' brings it back" in said.err


def test_titles_name_listings_and_competitions(yard: Scripted, run: Callable[..., Any]) -> None:
    for command, title in (("gallery show", LISTING_SUMMARY.title), ("competitions show", COMPETITION_VIEW.title)):
        assert run(*command.split(), title).code == 0
        said = run(*command.split(), title[:-1])
        assert f"did you mean {title!r}" in said.err


def test_a_time_before_an_alias(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on("GET model-names/digits/aliases/champion", 404)
    said = run("aliases", "show", "digits", "champion", "--at", "2020-01-01")
    assert "no version of 'digits' was 'champion' at that time" in said.err


def test_a_token_that_the_gateway_does_not_know(yard: Scripted, run: Callable[..., Any]) -> None:
    yard.on("GET models", 401)
    said = run("models", "list")
    assert (said.code, "Bearer" in said.err) == (3, False)
    assert "does not know the token of MODELYARD_URL and MODELYARD_TOKEN; 'modelyard login" in said.err


@pytest.mark.parametrize(
    ("option", "said"),
    [("--name digts", "no model 'digts'; did you mean 'digits'?"), ("--label nihgtly", "no label 'nihgtly'; did you")],
)
def test_a_list_that_finds_nothing_says_what_is_like_it(
    yard: Scripted, run: Callable[..., Any], option: str, said: str
) -> None:
    yard.on("GET models", _page(), _page(summary_of(model(labels=("nightly",)))))
    shown = run("models", "list", *option.split())
    assert shown.out.startswith("No versions with ")
    assert said in shown.err


@pytest.mark.parametrize(("called", "name"), [("digits", "digits"), ("My digits (v2).onnx", "My-digits-v2")])
def test_an_upload_without_a_name_is_named_as_it_is_called(
    yard: Scripted, run: Callable[..., Any], package: Path, called: str, name: str
) -> None:
    place = package.rename(package.with_name(called)) if "." not in called else package.with_name(called)
    if place.suffix:
        place.write_bytes(b"model")
    said = run("import", str(place))
    assert f"named {name!r}" in said.err
    assert yard.last("POST").body["model_name"] == name


def test_a_connection_to_promote_to_that_is_not_there(yard: Scripted, run: Callable[..., Any], tmp_path: Path) -> None:
    said = run("models", "promote", "digits", "--to-connection", str(tmp_path / "other.json"))
    assert "gateway_url, token and project of the connection that is meant" in said.err
    assert "modelyard up" not in said.err


def test_a_comparison_is_for_reading(yard: Scripted, run: Callable[..., Any]) -> None:
    digests = ["sha256:" + sign * 64 for sign in "ab"]
    differences = [{"subject": "size", "values": [9888, None]}, {"subject": "content", "values": digests}]
    row = {"model_name": "digits", "format": "onnx", "model_type": "ONNX", "model_size": 9888, "parameter_count": 7}
    versions = [
        {**row, "model_version": "0.0.1", "model_id": MODEL},
        {**row, "model_version": "0.0.2", "model_id": "x"},
    ]
    reply = {"versions": versions, "signature_changes": [], "differences": differences}
    yard.on("GET models/compare", reply)
    lines = run("models", "compare", MODEL, MODEL).out.splitlines()
    assert [line.split() for line in lines[-2:]] == [
        ["size", "9.7", "KiB", "–"],
        ["content", *(digest[: len("sha256:") + 12] + "…" for digest in digests)],
    ]


def test_what_nearly_is_there_is_named(yard: Scripted, run: Callable[..., Any]) -> None:
    unknown = lambda gateway: gateway.refusal(400, error_code="ModelArts.3052", error_msg="no target")  # noqa: E731
    yard.on("POST conversions", unknown)
    said = run("convert", "digits", "--to", "onnx_int8_static")
    assert (said.code, "did you mean 'onnx-int8-static'?" in said.err) == (2, True)
    yard.on("DELETE tokens/laptp", lambda gateway: gateway.refusal(404, error_msg="no token"))
    said = run("tokens", "revoke", "laptp")
    assert (said.code, "no token 'laptp'; did you mean 'laptop'?" in said.err) == (2, True)
    assert "did you mean 'onnx'" in run("templates", "show", "onx").err
    assert "'digits' is none; 'modelyard evaluations list" in run("evaluations", "show", "digits").err


def test_a_lineage_says_whose_artifact_and_which_project(yard: Scripted, run: Callable[..., Any]) -> None:
    nodes = [
        {"id": "o", "kind": "version", "label": "digits 0.0.1", "facts": {"project": "default"}},
        {"id": "m", "kind": "version", "label": "digits 0.0.2", "facts": {"project": "p2"}},
        {"id": "a", "kind": "artifact", "label": "source", "facts": {}},
        {"id": "e", "kind": "entry", "label": "entry in Unseen", "facts": {}},
    ]
    edges = [("o", "promoted as", "m"), ("m", "holds", "a"), ("a", "entered as", "e")]
    told = [{"source": source, "relation": relation, "target": target} for source, relation, target in edges]
    yard.on(f"GET models/{MODEL}/lineage", {"nodes": nodes, "edges": told, "cut": None})
    shown = " ".join(run("models", "lineage", MODEL).out.split())
    assert "digits 0.0.1 of project" in shown
    assert "entry entry" not in shown
    assert "artifact source of" in shown
