"""`modelyard up`: what it writes, how it stops, and how it comes back after it was killed."""

import stat
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelyard import Client
from modelyard_local.ports import all_free
from modelyard_testkit.models import package
from modelyard_testkit.yard import Yard, eventually, running_yard
from modelyard_testkit.yard_inside import keys, process_of, put

from .test_bad_packages import contents, imported

pytestmark = [pytest.mark.e2e, pytest.mark.servers]


def test_connection_file(yard: Yard) -> None:
    assert stat.S_IMODE(yard.connection_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((yard.data / "credentials.json").stat().st_mode) == 0o600
    details = yard.details
    assert details.keys() == {"gateway_url", "project", "token", "nats_url", "nats_credentials", "s3"}
    assert details["project"] == "default"
    assert details["nats_credentials"].keys() == {"user", "password"}
    s3 = details["s3"]
    assert s3.keys() == {"endpoint", "access_key", "secret_key", "secure", "buckets"}
    assert s3["secure"] is False
    assert s3["buckets"].keys() == {"artifacts", "training", "datasets"}
    said = yard.output()
    for place in (details["gateway_url"], details["nats_url"], s3["endpoint"], str(yard.connection_file)):
        assert place in said
    for secret in (details["token"], details["nats_credentials"]["password"], s3["secret_key"]):
        assert secret not in said


def _imported(yard: Yard, client: Client, folder: Path) -> dict[str, Any]:
    place = put(yard, "training", "kept", contents(package(folder, calibration=16)))
    return imported(client, model_name="kept", source_location=place)


def _ports(yard: Yard) -> set[int]:
    return {
        connection.laddr.port
        for process in yard.tree()
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.mark.parametrize("options", [(), ("--processes",)], ids=["one-process", "processes"])
def test_stop_and_kill(options: tuple[str, ...], tmp_path: Path) -> None:
    """Killed in mid-conversion and stopped in mid-conversion; each time the next start goes on where it was."""
    with running_yard(tmp_path / "data", *options) as yard:
        with yard.client() as client:
            model = _imported(yard, client, tmp_path / "package")
            first, _ = _held(yard, client, model)
        before, kept, ports = yard.tree(), yard.details, _ports(yard)
        yard.kill()

        yard.start()
        assert yard.details == kept, "addresses and secrets outlive a kill"
        eventually(lambda: not any(map(_alive, before)), "the end of every orphan")
        with yard.client() as client:
            assert client.get(f"models/{model['model_id']}")["model_status"] == "published"
            assert keys(yard, "training", "kept/model/") == {"kept/model/config.json", "kept/model/model.onnx"}
            done = eventually(lambda: _ended(client, first), "the conversion that was killed")
            assert (done["state"], done["attempt"]) == ("succeeded", 2)
            _, held = _held(yard, client, model)
        before, ports = yard.tree(), ports | _ports(yard)
        held.resume()
        yard.stop()
        eventually(lambda: not any(map(_alive, before)), "the end of every process")
        assert all_free(ports)
        assert "Traceback" not in yard.output()


def _held(yard: Yard, client: Client, model: dict[str, Any]) -> tuple[str, psutil.Process]:
    """A conversion in the middle of its work, and its own process, which is stopped there (SIGSTOP): however busy the
    machine, it cannot end before the test goes on. One that was too quick to be caught is followed by another."""
    order = {"model_id": model["model_id"], "order": {"target": "openvino-fp16"}}
    while True:
        conversion_id = eventually(lambda: client.post("conversions", order), "the order")["conversion_id"]

        def caught(ordered: str = conversion_id) -> psutil.Process | dict[str, Any] | None:
            return next(filter(_stopped, yard.tree()), None) or _ended(client, ordered)

        found = eventually(caught, "a conversion at work", pause=0)
        if isinstance(found, psutil.Process):
            return conversion_id, found


def _stopped(process: psutil.Process) -> bool:
    """Whether it converts, with its toolchain at hand; then it no longer goes on."""
    try:
        converts = "refit.py" in " ".join(process.cmdline())
        if not converts or not any("openvino" in each.path for each in process.memory_maps()):
            return False
        process.suspend()
    except psutil.NoSuchProcess:
        return False
    return _alive(process)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ended(client: Client, conversion_id: str) -> dict[str, Any] | None:
    made = client.get(f"conversions/{conversion_id}")
    return made if made["state"] in ("succeeded", "failed") else None


def test_what_is_frozen_is_started_again_and_what_waits_for_it_is_left_alone(tmp_path: Path) -> None:
    """One service stands still and the gateway dies: the new gateway says what is missing, and stays."""
    with running_yard(tmp_path / "data", "--processes", "--patience", "15") as yard:
        frozen, first = process_of(yard, "publish"), process_of(yard, "gateway").pid
        frozen.suspend()
        _kill(process_of(yard, "gateway"))
        eventually(lambda: "publish" in _missing(yard), "a gateway that misses publish")
        second = process_of(yard, "gateway").pid
        yard.wait_ready()
        assert second != first
        assert process_of(yard, "gateway").pid == second
        assert process_of(yard, "publish").pid != frozen.pid
        said = yard.output()
        assert "modelyard-publish has not answered for 15 s; starting it again" in said
        assert said.count("starting it again") == 2, said


def _missing(yard: Yard) -> list[str]:
    return [what for what, answer in yard.http("GET", "/readyz").json()["checks"].items() if answer != "ok"]


def _kill(process: psutil.Process) -> None:
    process.kill()
    eventually(lambda: not _alive(process), "its end")


def test_second_up_on_the_same_folder_is_refused(yard: Yard) -> None:
    done = yard.command("up", "--data", str(yard.data), code=1)
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert yard.http("GET", "/readyz").status_code == 200


def test_taken_port_is_refused(yard: Yard, tmp_path: Path) -> None:
    port = yard.details["gateway_url"].rsplit(":", 1)[1]
    done = yard.command("up", "--data", str(tmp_path / "other"), "--port", port, code=1)
    assert port in done.stderr
    assert "Traceback" not in done.stderr
