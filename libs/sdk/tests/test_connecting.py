"""Which gateway, who is calling, what login keeps, and what the shell is offered."""

import io
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from modelyard import Connection
from modelyard.connection import keep, kept_file

from .conftest import TOKEN, Scripted
from .gateway_replies import WELL

PROGRAM = Path(sys.executable).with_name("modelyard")
MISSING = {"ready": False, "checks": {"nats": "ok", "convert": "no answer within 2 s"}, "version": "0.1.0"}


@pytest.fixture(autouse=True)
def known(gateway: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """A gateway that says who is calling, and a home without anything of ours."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for path, reply in WELL.items():
        gateway.on(f"GET {path}", reply)
    return gateway


@pytest.fixture
def nothing_given(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in environment:
        monkeypatch.delenv(name)


def test_a_gateway_that_is_ready(run: Callable[..., Any]) -> None:
    rows = [line.split() for line in run("status").out.splitlines()]
    assert ["ready", "yes"] in rows
    assert ["version", "0.1.0"] in rows
    assert next(row for row in rows if row[:1] == ["latency"])[2] == "ms"
    found = run("status", "--json").json
    assert (found["ready"], found["checks"]["convert"]) == (True, "ok")
    assert found["latency_ms"] > 0


def test_a_ready_gateway_that_does_not_know_the_token(run: Callable[..., Any], known: Scripted) -> None:
    known.on("GET whoami", known.refusal(401, error_msg="no valid token"))
    ended = run("status")
    assert ended.code == 3
    assert "does not know the token of MODELYARD_URL" in ended.err
    assert "ready" in ended.out


def test_what_is_missing_behind_it(run: Callable[..., Any], known: Scripted) -> None:
    known.on("GET /readyz", JSONResponse(MISSING, status_code=503))
    ended = run("status")
    assert (ended.code, ended.err) == (1, "failed: the gateway is not ready\n")
    assert ["convert", "no", "answer", "within", "2", "s"] in [line.split() for line in ended.out.splitlines()]
    assert run("status", "--json").json["ready"] is False


def test_something_else_answers(run: Callable[..., Any], known: Scripted) -> None:
    known.on("GET /readyz", PlainTextResponse("<html>away</html>", status_code=503))
    assert run("status").code == 3
    assert "is no gateway" in run("status").err


def test_who_is_calling(run: Callable[..., Any], known: Scripted) -> None:
    rows = [line.split() for line in run("whoami").out.splitlines()]
    assert ["ann"] in rows
    assert ["role", "writer"] in rows
    assert ["found", "in", "MODELYARD_URL", "and", "MODELYARD_TOKEN"] in rows
    found = run("whoami", "--json").json
    assert (found["project"], found["url"]) == ("p1", known.url)
    assert "token" not in found


def test_a_project_that_is_not_the_tokens(run: Callable[..., Any]) -> None:
    ended = run("--project", "other", "whoami")
    assert (ended.code, ended.err) == (1, "failed: the chosen project is 'other', and this token is of 'p1'\n")


def test_whoami_names_the_file(run: Callable[..., Any], known: Scripted, tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    file.write_text(json.dumps({"gateway_url": known.url, "token": TOKEN, "project": "p1"}))
    assert run("--connection", str(file), "whoami", "--json").json["connection"] == str(file)


@pytest.mark.usefixtures("nothing_given")
def test_login_keeps_what_later_commands_use(
    run: Callable[..., Any], known: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.on("GET tokens", {"tokens": []})
    assert run("tokens", "list").code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    ended = run("login", f"{known.url}/", "--token-stdin")
    assert (ended.code, ended.err) == (0, "")
    assert f"ann (writer) in project p1; kept in {kept_file()}" in ended.out
    assert TOKEN not in ended.out
    assert stat.S_IMODE(kept_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(kept_file().parent.stat().st_mode) == 0o700
    assert [path.name for path in kept_file().parent.iterdir()] == ["connection.json"]
    assert run("tokens", "list").code == 0
    assert known.asked[-1].headers["authorization"] == f"Bearer {TOKEN}"
    assert run("whoami", "--json").json["connection"] == f"'modelyard login': {kept_file()}"
    assert "is removed" in run("logout").out
    assert run("tokens", "list").code == 2
    assert run("logout").out == "nothing was kept\n"


def test_the_environment_goes_before_what_is_kept(
    run: Callable[..., Any], known: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(Connection("http://127.0.0.1:9", "another", "other"))
    assert run("whoami", "--json").json["url"] == known.url
    monkeypatch.delenv("MODELYARD_TOKEN")  # never the kept token to an address that it does not belong to
    assert run("whoami").code == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN))
    assert "MODELYARD_URL of the environment go" in run("login", known.url, "--token-stdin").err


@pytest.mark.usefixtures("nothing_given")
def test_a_token_that_is_refused_is_not_kept(
    run: Callable[..., Any], known: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.on("GET whoami", known.refusal(401, error_msg="no valid token"))
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    refused = run("login", known.url, "--token-stdin")
    assert refused.code == 3
    assert f"{known.url} does not know this token; nothing was kept" in refused.err
    assert not kept_file().exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run("login", known.url, "--token-stdin").code == 2


@pytest.mark.usefixtures("nothing_given")
def test_the_token_is_asked_for_without_echo(run: Callable[..., Any], known: Scripted, monkeypatch: Any) -> None:
    asked: list[str] = []

    def getpass(prompt: str, **_: Any) -> str:
        asked.append(prompt)
        return TOKEN

    monkeypatch.setattr("getpass.getpass", getpass)
    assert run("login", known.url).code == 0
    assert len(asked) == 1
    assert json.loads(kept_file().read_text())["token"] == TOKEN


def offered(*words: str, **told: str) -> list[str]:
    """What the program answers to a shell that asks for the last of these words."""
    asking = {"_MODELYARD_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([PROGRAM], env={**os.environ, **asking, **told}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


ROWS: list[tuple[tuple[str, ...], list[str]]] = [
    (("models", "show", "di"), ["digits", "digits@champion"]),
    (("models", "show", "digits@"), ["digits@champion"]),
    (("models", "show", "x"), []),
    (("aliases", "show", ""), ["digits"]),
    (("aliases", "move", "digits", "ch"), ["champion"]),
    (("convert", "digits", "--to", "onnx"), ["onnx-int8-static"]),
    (("models", "download", "digits", "--artifact", "o"), ["onnx-int8-static", "openvino-fp16"]),
    (("evaluate", "digits", "--dataset", "dig"), ["digits-held-out"]),
    (("mod",), ["models"]),
    (("models", "comp"), ["compare"]),
]


@pytest.mark.parametrize(("words", "wanted"), ROWS, ids=str)
def test_what_the_shell_is_offered(
    yard: Scripted, environment: dict[str, str], words: tuple[str, ...], wanted: list[str]
) -> None:
    assert offered("modelyard", *words) == wanted


def test_the_shell_is_offered_what_the_chosen_project_has(yard: Scripted, environment: dict[str, str]) -> None:
    yard.on("GET other/models", {"models": [{"model_name": "letters", "aliases": []}]})
    assert offered("modelyard", "--project", "other", "models", "show", "") == ["letters"]


def test_silence_when_nobody_can_be_asked(yard: Scripted, environment: dict[str, str]) -> None:
    words = ("modelyard", "models", "show", "di")
    assert offered(*words, MODELYARD_URL="http://127.0.0.1:9") == []
    assert offered(*words, MODELYARD_URL="", MODELYARD_TOKEN="") == []
    assert offered(*words, MODELYARD_CONNECTION="missing.json") == []
    yard.on("GET models", 401)
    assert offered(*words) == []


def test_a_real_bash(yard: Scripted, environment: dict[str, str]) -> None:
    script = """
    PATH="$(dirname "$1"):$PATH"
    eval "$(modelyard --show-completion)"
    COMP_WORDS=(modelyard models show di) COMP_CWORD=3
    _modelyard_completion modelyard
    printf '%s\n' "${COMPREPLY[@]}"
    """
    bash = shutil.which("bash") or "bash"
    done = subprocess.run([bash, "--norc", "-c", script, "bash", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["digits", "digits@champion"], done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(yard: Scripted, environment: dict[str, str], shell: str) -> None:
    asking = {"_MODELYARD_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "modelyard models show di"}
    asking["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    done = subprocess.run([PROGRAM], env={**os.environ, **asking}, capture_output=True, text=True, check=False)
    assert "digits@champion" in done.stdout
    source = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    show = [str(PROGRAM), "--show-completion", shell]
    shown = subprocess.run(show, env={**os.environ, **source}, capture_output=True, check=True)
    assert b"_MODELYARD_COMPLETE=complete_" in shown.stdout
