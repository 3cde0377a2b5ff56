"""A small real HTTP server that plays gateway and storage, and the command line run against it."""

import asyncio
import hashlib
import json
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from modelyard import Client, Connection
from modelyard.cli import main
from modelyard_contracts.calls import convert, evaluate, imports, publish, version

from . import gateway_replies as replies
from . import register_replies

TOKEN = "a-token-for-tests"


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Times are shown in the zone of the machine, whichever that is."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@dataclass
class Asked:
    """One request that came to the gateway. `body` is parsed JSON."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass
class Scripted:
    """`answers`: "GET models/m1" → a reply, or a list of replies of which the last one stays. A reply is a view, JSON,
    or a starlette response; a plain number is a refusal with that status. What is not scripted is refused with 404.
    `stored`: what storage holds by name. `storage_status`: answered instead, by name. `received`: bytes of bodies by
    name, those of broken requests too."""

    url: str = ""
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    storage_status: dict[str, int] = field(default_factory=dict)
    storage_headers: list[dict[str, str]] = field(default_factory=list)
    received: dict[str, int] = field(default_factory=dict)
    multi: list[list[tuple[str, str]]] = field(default_factory=list)

    def on(self, method_and_path: str, *replies: Any) -> None:
        self.answers[method_and_path] = list(replies)

    def storage(self, name: str) -> str:
        """A presigned URL."""
        return f"{self.url}/storage/{name}?signature=secret"

    def keeps(self, name: str, content: bytes, path: str | None = None, **wrong: Any) -> dict[str, Any]:
        """Puts it into storage; the file link of it."""
        self.stored[name] = content
        link = {"path": path or name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return {**link, "url": self.storage(name), **wrong}

    def refusal(self, status: int, **fields: Any) -> JSONResponse:
        body = {"error_code": "ModelArts.3037", "error_msg": "no, not like that", "correlation_id": "c-1"}
        return JSONResponse({**body, **fields}, status_code=status)

    async def gateway(self, request: Request) -> Response:
        raw = await request.body()
        path = request.url.path.removeprefix("/v1/").removeprefix("p1/")
        body = json.loads(raw) if raw else None
        self.multi.append(request.query_params.multi_items())
        self.asked.append(Asked(request.method, path, dict(request.query_params), body, dict(request.headers)))
        replies = self.answers.get(f"{request.method} {path}")
        if not replies:
            return self.refusal(404, error_code="ModelArts.3001", error_msg=f"not scripted: {request.method} {path}")
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply) and not isinstance(reply, Response):
            reply = reply(self)
        if isinstance(reply, int):
            return self.refusal(reply)
        if isinstance(reply, BaseModel):
            reply = reply.model_dump(mode="json")
        return reply if isinstance(reply, Response) else JSONResponse(reply)

    async def put(self, request: Request) -> Response:
        try:
            return await self._put(request)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _put(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.storage_headers.append(dict(request.headers))
        pieces = []
        async for piece in request.stream():
            pieces.append(piece)
            self.received[name] = self.received.get(name, 0) + len(piece)
        content = b"".join(pieces)
        if status := self.storage_status.get(name):
            return Response(b"<Error>AccessDenied</Error>", status_code=status)
        self.stored[name] = content
        return Response(headers={"ETag": f'"{md5(content)}"'})

    async def send(self, request: Request) -> Response:
        name = request.path_params["name"]
        self.storage_headers.append(dict(request.headers))
        if status := self.storage_status.get(name):
            return Response(b"<Error>AccessDenied</Error>", status_code=status)
        content = self.stored[name]
        if wanted := request.headers.get("range"):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            return Response(content[start:], status_code=206)
        return Response(content)

    def last(self, method: str) -> Asked:
        return [asked for asked in self.asked if asked.method == method][-1]


@dataclass
class Uploads:
    """Plays the uploads of a gateway whose storage is `gateway.stored`: one object for every part, `path.1`, `path.2`…

    `reach` maps a URL of storage to what clients are told, `expired` holds ids of uploads that are gone.
    """

    gateway: Scripted
    part_size: int = 64 << 20
    reach: Callable[[str], str] = str
    expired: set[str] = field(default_factory=set)
    begun: dict[str, dict[str, Any]] = field(default_factory=dict)
    completed: dict[str, list[Any]] = field(default_factory=dict)

    def script(self) -> "Uploads":
        self.gateway.on("POST uploads", lambda _: self.begin())
        return self

    def begin(self) -> dict[str, Any]:
        asked = self.gateway.asked[-1]
        key = asked.headers["idempotency-key"]
        if key not in self.begun:
            identifier = f"u {len(self.begun) + 1}"
            self.begun[key] = {"id": identifier, "files": asked.body["files"]}
            self.gateway.on(f"GET uploads/{identifier}/parts", lambda _: self.parts(key))
            self.gateway.on(f"POST uploads/{identifier}/complete", lambda _: self.complete(key))
        files = [
            {"path": file["path"], "urls": [], "part_size": self.part_size if self.parts_of(file) > 1 else None}
            for file in self.begun[key]["files"]
        ]
        return {"upload_id": self.begun[key]["id"], "files": files, "expires_at": 0}

    def parts_of(self, file: dict[str, Any]) -> int:
        return max(1, -(-int(file["size"]) // self.part_size))

    def parts(self, key: str) -> dict[str, Any]:
        upload = self.begun[key]
        identifier = upload["id"]
        state = "expired" if identifier in self.expired else "complete" if identifier in self.completed else "open"
        files = [self.progress_of(identifier, file) for file in upload["files"]] if state != "expired" else []
        return {"upload_id": identifier, "state": state, "files": files, "expires_at": 0}

    def progress_of(self, identifier: str, file: dict[str, Any]) -> dict[str, Any]:
        names = {number: f"{identifier}/{file['path']}.{number}" for number in range(1, self.parts_of(file) + 1)}
        there = {
            number: md5(self.gateway.stored[name]) for number, name in names.items() if name in self.gateway.stored
        }
        missing = {
            number: self.reach(self.gateway.storage(name)) for number, name in names.items() if number not in there
        }
        told = {"path": file["path"], "size": file["size"], "part_size": self.part_size, "done": not missing}
        return {**told, "parts": there, "missing": missing}

    def complete(self, key: str) -> dict[str, Any]:
        self.completed[self.begun[key]["id"]] = self.gateway.asked[-1].body
        return {"upload_id": self.begun[key]["id"], "state": "complete"}

    def arrived(self, path: str, identifier: str = "u 1") -> bytes:
        """What storage has of a file."""
        names = [name for name in self.gateway.stored if name.rpartition(".")[0] == f"{identifier}/{path}"]
        return b"".join(self.gateway.stored[name] for name in sorted(names, key=lambda name: int(name.split(".")[-1])))


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def event_stream(*lines: str, stay: bool = False) -> Callable[[Scripted], Response]:
    """Server-sent events exactly as these lines; with `stay` the stream is not ended by the server."""

    async def body() -> AsyncIterator[bytes]:
        for line in lines:
            yield line.encode()
        while stay:
            await asyncio.sleep(0.05)
            yield b": ping\r\n\r\n"

    return lambda _: StreamingResponse(body(), media_type="text/event-stream")


class _Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """The test run keeps its own."""


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[Scripted, list[Scripted]]]:
    current: list[Scripted] = [Scripted()]

    async def gateway(request: Request) -> Response:
        return await current[0].gateway(request)

    async def put(request: Request) -> Response:
        return await current[0].put(request)

    async def send(request: Request) -> Response:
        return await current[0].send(request)

    app = Starlette(
        routes=[
            Route("/storage/{name:path}", put, methods=["PUT"]),
            Route("/storage/{name:path}", send, methods=["GET"]),
            Route("/{path:path}", gateway, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]
    )
    config = uvicorn.Config(app, port=0, ws="none", lifespan="off", http="h11", log_level="critical", loop="asyncio")
    server = _Quiet(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    current[0].url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield current[0], current
    server.should_exit = server.force_exit = True
    thread.join()


@pytest.fixture
def gateway(_served: tuple[Scripted, list[Scripted]]) -> Scripted:
    first, current = _served
    current[0] = Scripted(first.url)
    return current[0]


@pytest.fixture
def client(gateway: Scripted) -> Iterator[Client]:
    with Client(Connection(gateway.url, TOKEN, "p1")) as opened:
        yield opened


@pytest.fixture
def uploads(gateway: Scripted) -> Uploads:
    return Uploads(gateway).script()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of broken transfers; seconds."""
    monkeypatch.setattr("modelyard.transfer.line.PAUSES", (0.0, 0.01, 0.01))


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long `follow` would have waited, each time."""
    pauses: list[float] = []
    monkeypatch.setattr("modelyard.gateway.time.sleep", pauses.append)
    return pauses


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def environment(gateway: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What the command line needs to find the gateway, and nothing else of ours."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("MODELYARD_CONNECTION", "MODELYARD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    found = {"MODELYARD_URL": gateway.url, "MODELYARD_TOKEN": TOKEN, "MODELYARD_PROJECT": "p1"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def run(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """`run("models", "list")` → exit code, standard output and standard error."""

    def command(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["modelyard", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Ended(int(ended.value.code or 0), said.out, said.err)

    return command


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with config.json and a model; the contents do not matter here."""
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "digits.onnx").write_bytes(b"model" * 1000)
    return folder


@dataclass(frozen=True)
class Streams:
    """Builders for tests."""

    of = staticmethod(event_stream)


@pytest.fixture
def streams() -> Streams:
    return Streams()


def _models(gateway: Scripted) -> None:
    gateway.on("GET models", replies.page(version.VersionPage, "models", replies.summary_of(replies.model())))
    gateway.on(f"GET models/{replies.MODEL}", replies.model())
    files = replies.file_links(gateway.keeps("a.onnx", b"x" * 2000, "model/数字.onnx"))
    gateway.on(f"GET models/{replies.MODEL}/files", files)
    gateway.on(f"GET gallery/{replies.LISTING}/files", files)
    gateway.on(
        f"DELETE models/{replies.MODEL}",
        version.DeleteReport(delete_success_list=(replies.MODEL,), delete_failed_list=()),
    )
    gateway.on(f"GET models/{replies.MODEL}/lineage", replies.LINEAGE)
    gateway.on("GET model-names/digits/aliases", version.AliasList(aliases=(replies.ALIAS,)))
    gateway.on("PUT model-names/digits/aliases/champion", {})
    gateway.on("DELETE model-names/digits/aliases/champion", {})
    gateway.on("POST models", replies.CREATED)
    Uploads(gateway).script()


def _register(gateway: Scripted) -> None:
    model = f"models/{replies.MODEL}"
    gateway.on(f"PATCH {model}", replies.model(labels=("candidate",)))
    gateway.on(f"GET {model}/deletion", register_replies.PREVIEW)
    gateway.on(
        f"GET {model}/history",
        version.History(model_id=replies.MODEL, records=register_replies.HISTORY),
        version.History(model_id=replies.MODEL, records=()),
    )
    gateway.on(f"GET {model}/history/verification", register_replies.VERDICT)
    gateway.on(f"GET {model}/lineage.svg", PlainTextResponse("<svg/>", media_type="image/svg+xml"))
    gateway.on("GET lineage", replies.LINEAGE)
    gateway.on("GET lineage.svg", PlainTextResponse("<svg/>", media_type="image/svg+xml"))
    gateway.on("GET models/compare", register_replies.VERSION_COMPARISON)
    gateway.on(f"POST {model}/verifications", register_replies.verification("waiting"))
    gateway.on(
        f"GET models/verifications/{replies.uid(70)}",
        register_replies.verification("running"),
        register_replies.verification("succeeded"),
    )
    gateway.on("POST audits", register_replies.audit("waiting"))
    gateway.on(f"GET audits/{replies.uid(71)}", register_replies.audit("running"), register_replies.audit("succeeded"))
    gateway.on("GET model-names/digits/aliases/champion", replies.ALIAS)
    gateway.on("GET model-names/digits/aliases/champion/history", register_replies.ALIAS_HISTORY)
    gateway.on("GET models/template", register_replies.TEMPLATES)
    gateway.on("GET models/template/onnx", register_replies.TEMPLATE)
    gateway.on("POST models/template", register_replies.TEMPLATE)
    gateway.on("DELETE models/template/onnx", {})
    gateway.on("GET models/infer-formats", register_replies.MODES)
    gateway.on("GET models/ai-engine-runtimes", register_replies.RUNTIMES)
    gateway.on("POST import-rules/dry-run", register_replies.DRY_RUN)


def _conversions(gateway: Scripted) -> None:
    gateway.on("POST conversions", replies.conversion("initialising"))
    gateway.on(f"GET conversions/{replies.CONVERSION}", replies.conversion("running"), replies.conversion("succeeded"))
    gateway.on("GET conversions", replies.page(convert.ConversionPage, "conversions", replies.conversion("succeeded")))
    gateway.on("GET conversion-targets", convert.TargetList(targets=(replies.TARGET,)))
    gateway.on(f"GET conversions/{replies.CONVERSION}/log", replies.LOG)
    link = gateway.keeps("b.onnx", b"y" * 2000, "model/model.onnx")
    kept = convert.ResultLinks(
        conversion_id=replies.CONVERSION, digest="sha256:" + "cd" * 32, files=(link,), expires_at=replies.NOW
    )
    gateway.on(f"GET conversions/{replies.CONVERSION}/result", kept)
    gateway.on(
        "POST conversions/delete",
        convert.DeletedConversions(deleted=(replies.CONVERSION,), refused={replies.uid(99): "it runs"}),
    )


def _evaluations(gateway: Scripted) -> None:
    gateway.on("GET datasets", replies.page(evaluate.DatasetPage, "datasets", replies.HELD_OUT))
    gateway.on(f"GET datasets/{replies.DATASET}", replies.HELD_OUT)
    gateway.on(f"DELETE datasets/{replies.DATASET}", {})
    gateway.on("POST datasets", replies.HELD_OUT)
    gateway.on("POST evaluations", replies.runs("waiting"))
    gateway.on(f"POST evaluations/{replies.EVALUATION}/versions", replies.runs("waiting"))
    gateway.on("GET evaluations", replies.page(evaluate.EvaluationPage, "evaluations", replies.runs()))
    gateway.on(f"GET evaluations/{replies.EVALUATION}", replies.runs("running"), replies.runs())
    plot = evaluate.Plot(name="roc", media_type="image/png", url=gateway.keeps("roc", b"png")["url"])
    gateway.on(f"GET evaluations/{replies.EVALUATION}/versions/V0001/result", replies.result_view(plots=(plot,)))
    gateway.on(f"POST evaluations/{replies.EVALUATION}/versions/V0001/stop", replies.runs("stopped"))
    gateway.on(f"GET evaluations/{replies.EVALUATION}/comparison", replies.COMPARISON)
    gateway.on(f"DELETE evaluations/{replies.EVALUATION}", {})


def _publications(gateway: Scripted) -> None:
    gateway.on("POST gallery", replies.LISTING_VIEW)
    gateway.on("GET gallery", replies.page(publish.ListingPage, "listings", replies.LISTING_SUMMARY))
    gateway.on(f"GET gallery/{replies.LISTING}", replies.LISTING_VIEW)
    gateway.on(f"DELETE gallery/{replies.LISTING}", {})
    gateway.on("POST competitions", replies.COMPETITION_VIEW)
    gateway.on("GET competitions", replies.page(publish.CompetitionPage, "competitions", replies.COMPETITION_VIEW))
    gateway.on(f"GET competitions/{replies.COMPETITION}", replies.COMPETITION_VIEW)
    gateway.on(f"GET competitions/{replies.COMPETITION}/leaderboard", replies.BOARD)
    gateway.on(f"POST competitions/{replies.COMPETITION}/entries", replies.entry("submitted"))
    gateway.on(f"GET entries/{replies.ENTRY}", replies.entry("submitted"), replies.entry("scored"))


def _operations(gateway: Scripted) -> None:
    gateway.on("POST training-jobs/events", replies.TRAINING_JOB)
    gateway.on("GET training-jobs", replies.page(imports.TrainingJobPage, "training_jobs", replies.TRAINING_JOB))
    gateway.on(f"GET training-jobs/{replies.JOB}", replies.TRAINING_JOB)
    gateway.on("POST import-rules", replies.RULE_VIEW)
    gateway.on("GET import-rules", imports.RuleList(rules=(replies.RULE_VIEW,)))
    gateway.on(f"DELETE import-rules/{replies.RULE}", {})
    gateway.on("GET dead-letters", {"dead_letters": [replies.LETTER]})
    gateway.on("GET dead-letters/7", {**replies.LETTER, "payload": '{"id": "e-1"}'})
    gateway.on("POST dead-letters/7/replay", {})
    gateway.on("DELETE dead-letters/7", {})
    gateway.on("POST tokens", {**replies.TOKENS[0], "token": "the-secret"})
    gateway.on("GET tokens", {"tokens": replies.TOKENS})
    gateway.on("DELETE tokens/laptop", {})
    gateway.on("POST access-keys", {**replies.ACCESS_KEY, "secret_access_key": "the-secret"})
    gateway.on("GET access-keys", {"access_keys": [replies.ACCESS_KEY]})
    gateway.on("POST access-keys/terraform/rotation", {**replies.ACCESS_KEY, "secret_access_key": "the-secret"})
    gateway.on("DELETE access-keys/terraform", {})
    project = {"project_id": "p2", "title": "Vision", "created_at": replies.NOW, "created_by": "token:operator"}
    gateway.on("GET projects", {"projects": [project], "next_after": None})
    gateway.on("POST projects", {**replies.TOKENS[0], "token": "the-secret"})
    for path, reply in replies.WELL.items():
        gateway.on(f"GET {path}", reply)


@pytest.fixture
def yard(gateway: Scripted) -> Scripted:
    """A gateway that knows one of everything."""
    for script in (_models, _register, _conversions, _evaluations, _publications, _operations):
        script(gateway)
    return gateway
