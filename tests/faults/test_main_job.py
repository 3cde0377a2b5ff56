"""Somebody dies in the middle of the main job, or everything is said twice: it ends right, complete and once."""

from collections import Counter
from typing import Any

import httpx
import psutil
import pytest

from modelyard_testkit.main_job import MainJob, fact_of
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import events, pending_outbox, process_of

from .duplicator import doubling
from .killing import alive, back, held, kill, stopped, worker_of

pytestmark = [pytest.mark.fault]


def working(yard: Yard, service: str, busy: float = 0.0) -> psutil.Process:
    """The service's worker, as soon as it has worked for `busy` seconds of a processor's time."""

    def found() -> psutil.Process | None:
        try:
            worker = worker_of(yard, service)
            return worker if worker is not None and sum(worker.cpu_times()[:2]) >= busy else None
        except psutil.NoSuchProcess:
            return None

    return eventually(found, f"work of {service}", pause=0.01)


def attempts(made: list[dict[str, Any]]) -> Counter[int]:
    return Counter(each["attempt"] for each in made)


def test_undisturbed(main_job: MainJob) -> None:
    """The judge is content when nothing is killed: what it finds below is the fault's doing."""
    main_job.announce()
    outcome = main_job.finish()
    main_job.judge(outcome)
    assert attempts(outcome.conversions) == {1: 2}


def test_convert_service_killed_in_mid_run(yard: Yard, main_job: MainJob) -> None:
    main_job.announce()
    worker, was = working(yard, "convert"), process_of(yard, "convert").pid
    kill(yard, "convert")
    eventually(lambda: not alive(worker), "the worker dies with its service")
    back(yard, "convert", was)
    outcome = main_job.finish()
    assert attempts(outcome.conversions)[2] >= 1, "one of them had begun before"
    main_job.judge(outcome)


def test_convert_worker_killed_in_mid_run(yard: Yard, main_job: MainJob) -> None:
    main_job.announce()
    working(yard, "convert", busy=0.3).kill()  # what has hardly begun is soon over, and would be killed behind its end
    outcome = main_job.finish()
    assert attempts(outcome.conversions) == {1: 1, 2: 1}
    main_job.judge(outcome)


def test_evaluate_service_killed_in_mid_run(yard: Yard, main_job: MainJob) -> None:
    main_job.announce()
    worker, was = working(yard, "evaluate"), process_of(yard, "evaluate").pid
    kill(yard, "evaluate")
    eventually(lambda: not alive(worker), "the worker dies with its service")
    back(yard, "evaluate", was)
    outcome = main_job.finish()
    main_job.judge(outcome)
    started = [event["data"] for event in events(yard, main_job.project) if fact_of(event) == "evaluation.started"]
    assert max(fact["attempt"] for fact in started) >= 2


def test_version_service_killed_while_the_import_runs(yard: Yard, main_job: MainJob) -> None:
    """It hears of the import's success only when it is back."""
    was = process_of(yard, "version").pid
    with held(yard, "s3"):
        main_job.announce()
        main_job.until(lambda: importing(main_job), "an import at work")
        kill(yard, "version")
    back(yard, "version", was)
    main_job.judge(main_job.finish())


@pytest.mark.parametrize("service", ["gateway", "publish", "version"])
def test_service_killed_while_another_works(service: str, yard: Yard, main_job: MainJob) -> None:
    main_job.announce()
    with stopped(working(yard, "evaluate")) as worker:
        was = process_of(yard, service).pid
        kill(yard, service)
        assert alive(worker), "killed too late"
    back(yard, service, was)
    main_job.judge(main_job.finish())


@pytest.mark.parametrize("service", ["convert", "evaluate"])
def test_killed_between_commit_and_publish(service: str, yard: Yard, main_job: MainJob) -> None:
    """The broker does not answer while the work ends: its result is committed, and only there."""
    main_job.announce()
    worker, was = working(yard, service), process_of(yard, service).pid
    with held(yard, "nats"):
        eventually(lambda: not alive(worker), "the end of the work")
        waiting = eventually(lambda: pending_of(yard, service), "a committed message that cannot be sent")
        kill(yard, service)
        assert pending_of(yard, service) == waiting, "it survives in the document"
    back(yard, service, was)
    main_job.judge(main_job.finish())


@pytest.mark.parametrize("server", ["nats", "s3"])
@pytest.mark.parametrize("service", ["convert", "evaluate"])
def test_server_killed_while_a_service_works(service: str, server: str, yard: Yard, main_job: MainJob) -> None:
    main_job.announce()
    with stopped(working(yard, service)) as worker:
        was = process_of(yard, server).pid
        kill(yard, server)
        assert alive(worker), "killed too late"
    back(yard, server, was)
    main_job.judge(main_job.finish())


def test_everybody_killed_once(yard: Yard, main_job: MainJob) -> None:
    """One after another, each as soon as the one before is back."""
    main_job.announce()
    for at, servers in (
        ("convert", ("nats", "version", "convert")),
        ("evaluate", ("s3", "gateway", "publish", "evaluate")),
    ):
        working(yard, at)
        for server in servers:
            was = process_of(yard, server).pid
            kill(yard, server)
            back(yard, server, was)
    main_job.judge(main_job.finish())


def test_everything_said_twice(yard: Yard, main_job: MainJob) -> None:
    """While the job runs and after it has ended, under message ids that the broker has not seen."""
    with doubling(yard) as duplicator:
        main_job.announce()
        main_job.judge(main_job.finish(), copies=2)
        first = main_job.finish()
        heard = len(duplicator.heard)
        assert duplicator.repeated == heard
        assert any(subject.startswith("modelyard.job.") for subject, _ in duplicator.heard)
        duplicator.once_more()
        main_job.settled()
        assert len(duplicator.heard) == heard, "nothing new was said because of it"
        again = main_job.finish()
        main_job.judge(again, copies=3)
        assert again == first


def test_readiness_says_who_is_missing(yard: Yard) -> None:
    def missing() -> str:
        answer = yard.http("GET", "/readyz")
        return "" if answer.status_code == httpx.codes.OK else answer.text

    with held(yard, "publish"):
        assert "the publish service does not answer" in eventually(missing, "a gateway that is not ready")


def importing(job: MainJob) -> bool:
    model = job.model()
    return model is not None and job.client.get(f"models/{model['model_id']}/import")["state"] == "running"


def pending_of(yard: Yard, service: str) -> dict[str, int]:
    return {place: count for place, count in pending_outbox(yard).items() if place.startswith(f"{service}.")}
