"""The same questions to this register and to MLflow's own server, on one machine in one run, by one client.

MLflow lives in an environment of its own, `.venv-mlflow`, which `make bench` fills from `mlflow.lock`.
"""

import asyncio
import contextlib
import http.client
import itertools
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from figures import Aim, Table, load, median, percentile
from seeding import seed_beside
from yard import Yard, running_yard

from modelyard_local.ports import free_port

MLFLOW_PYTHON = Path(__file__).parents[2] / ".venv-mlflow/bin/python"
MANY = "many"
_NEEDLE = "000123"
_AIM = 20.0
_PATIENCE = 120.0
_BLOCK = 10
_SETTLED = 45.0  # seconds in which all of MLflow's workers have come up

Ask = Callable[[], None]


@dataclass
class Http:
    """One kept-alive connection; `headers` go with every request."""

    port: int
    headers: dict[str, str]

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)

    def ask(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        """Raises RuntimeError for anything but 200."""
        text = None if body is None else json.dumps(body)
        try:
            reply = self._asked(method, path, text)
        except http.client.RemoteDisconnected:  # it was idle for long, while the other server was busy
            self._connection.close()
            reply = self._asked(method, path, text)
        read = reply.read()
        if reply.status != http.client.OK:
            raise RuntimeError(f"{method} {path}: {reply.status} {read[:300]!r}")
        return json.loads(read) if read else {}

    def _asked(self, method: str, path: str, text: str | None) -> http.client.HTTPResponse:
        self._connection.request(method, path, text, self.headers | {"Content-Type": "application/json"})
        return self._connection.getresponse()


async def measure(folder: Path, quick: bool) -> tuple[list[Table], list[Aim]]:
    if not MLFLOW_PYTHON.exists():
        print("no MLflow here (make .venv-mlflow/.ready): left out", flush=True)
        return [], []
    versions, names = (2_000, 500) if quick else (20_000, 2_000)
    repeats = 10 if quick else 50
    async with running_yard(folder / "yard"):
        pass  # makes the folder and its credentials
    ids = await seed_beside(f"sqlite:///{folder}/yard/documents/version.sqlite", MANY, versions, names)
    async with running_yard(folder / "yard") as yard, _mlflow(folder / "mlflow", versions, names) as port:
        ours, theirs = _ours(yard, ids, versions), _theirs(port, versions)
        found = {name: await _in_turn(ours[name], theirs[name], repeats) for name in ours}
    table = Table(
        f"Beside MLflow: one model with {versions:,} versions and {names:,} others",
        ("question", "modelyard p50 ms", "p95", "MLflow p50 ms", "p95", "MLflow ÷ modelyard", "load"),
        notes=[
            f"One client, one kept-alive connection to each, the two asked in turn, {_BLOCK} times each. Both on "
            "SQLite with their default number of workers (modelyard: all services in one process; MLflow: "
            "`mlflow server`, default workers), no proxy. MLflow asks for no token here; modelyard checks one each "
            "time.",
            "“show the model” is MLflow's `registered-models/get`, which answers with the newest version of each "
            "stage; here it is the newest version of that name, with the number of all. “create” starts an import "
            "here, which runs meanwhile; MLflow's only writes a row.",
        ],
    )
    for name, (mine, other) in found.items():
        times = median(mine), percentile(mine, 0.95), median(other), percentile(other, 0.95)
        table.rows.append((name, *times, f"{times[2] / times[0]:.1f}×", load()))
    return [table], _aims(found, versions)


def _aims(found: dict[str, tuple[list[float], list[float]]], versions: int) -> list[Aim]:
    judged = []
    for name, (mine, other) in found.items():
        if name.startswith(("show the model", "search")):
            times = median(other) / median(mine)
            shown = f"{times:.1f}×"
            judged.append(Aim(f"{name}, at {versions:,} versions, against MLflow", "≥ 20×", shown, times >= _AIM))
    return judged


async def _in_turn(mine: Ask, other: Ask, repeats: int) -> tuple[list[float], list[float]]:
    return await asyncio.to_thread(_timed_in_turn, mine, other, repeats)


def _timed_in_turn(mine: Ask, other: Ask, repeats: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each. The first of both is for warm caches and counts nowhere."""
    took: tuple[list[float], list[float]] = ([], [])
    mine()
    other()
    for _ in range(repeats // _BLOCK):
        for ask, kept in zip((mine, other), took, strict=True):
            for _ in range(_BLOCK):
                started = time.perf_counter()
                ask()
                kept.append((time.perf_counter() - started) * 1000)
    return took


def _ours(yard: Yard, ids: list[str], versions: int) -> dict[str, Ask]:
    port = int(yard.details["gateway_url"].rsplit(":", 1)[1])
    to = Http(port, {"Authorization": f"Bearer {yard.details['token']}"})
    one = f"/v1/default/models/{ids[versions // 2]}"
    named = {"model_name": MANY, "exact_match": "true", "sort_by": "model_version"}
    moves = itertools.cycle(("0.0.1", "0.0.2"))

    def search(**fields: object) -> Ask:
        path = f"/v1/default/models?{urlencode(fields)}"
        return lambda: _some(to.ask("GET", path)["models"])

    return {
        "show one version": lambda: _some(to.ask("GET", one)["model_id"]),
        "show the model": search(**named, limit=1),
        "search: newest 100 versions of the model": search(**named, limit=100),
        "search: name contains": search(model_name=_NEEDLE, limit=100),
        "search: label": search(label="rare", limit=100),
        "move an alias": lambda: _some(
            to.ask("PUT", f"/v1/default/model-names/{MANY}/aliases/champion", {"model_version": next(moves)}) or True
        ),
        "create a version": lambda: _some(
            to.ask("POST", "/v1/default/models", {"model_name": MANY, "source_location": "s3://training/nothing/"})
        ),
    }


def _theirs(port: int, versions: int) -> dict[str, Ask]:
    to = Http(port, {})
    api = "/api/2.0/mlflow"
    moves = itertools.cycle(("1", "2"))

    def search(kind: str, answer: str, text: str, **fields: object) -> Ask:
        path = f"{api}/{kind}/search?{urlencode({'filter': text, 'max_results': 100, **fields}, quote_via=quote)}"
        return lambda: _some(to.ask("GET", path)[answer])

    newest = {"order_by": "version_number DESC"}
    return {
        "show one version": lambda: _some(
            to.ask("GET", f"{api}/model-versions/get?name={MANY}&version={versions // 2}")["model_version"]
        ),
        "show the model": lambda: _some(to.ask("GET", f"{api}/registered-models/get?name={MANY}")["registered_model"]),
        "search: newest 100 versions of the model": search(
            "model-versions", "model_versions", f"name = '{MANY}'", **newest
        ),
        "search: name contains": search("registered-models", "registered_models", f"name ILIKE '%{_NEEDLE}%'"),
        "search: label": search("model-versions", "model_versions", "tags.label = 'rare'"),
        "move an alias": lambda: _some(
            to.ask(
                "POST",
                f"{api}/registered-models/alias",
                {"name": MANY, "alias": "champion", "version": next(moves)},
            )
            or True
        ),
        "create a version": lambda: _some(
            to.ask("POST", f"{api}/model-versions/create", {"name": MANY, "source": "s3://training/nothing/"})
        ),
    }


def _some(answer: object) -> None:
    """An empty answer is quick and says nothing."""
    if not answer:
        raise RuntimeError("the answer is empty")


@contextlib.asynccontextmanager
async def _mlflow(folder: Path, versions: int, names: int) -> AsyncIterator[int]:
    """Its port. Filled before it starts; stopped by its process group behind."""
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs
    database = folder / "mlflow.db"
    seeding = Path(__file__).with_name("mlflow_seed.py")
    subprocess.run([MLFLOW_PYTHON, seeding, database, str(versions), str(names)], check=True, capture_output=True)  # noqa: ASYNC221 - as above
    port = free_port()
    command = [str(MLFLOW_PYTHON), "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--no-serve-artifacts"]
    command += ["--default-artifact-root", str(folder / "artifacts")]
    with (folder / "output.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)  # noqa: ASYNC220 - as above
    try:
        await _answers(port, server)
        await asyncio.sleep(_SETTLED)
        yield port
    finally:
        server.terminate()
        await asyncio.to_thread(server.wait, 30)


async def _answers(port: int, server: "subprocess.Popen[bytes]") -> None:
    started = time.perf_counter()
    while True:
        with contextlib.suppress(OSError, RuntimeError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return
        if server.poll() is not None or time.perf_counter() - started > _PATIENCE:
            raise RuntimeError("MLflow's server did not come up")
        await asyncio.sleep(0.2)
