import pytest

from modelyard_contracts.catalogue import ALL_EVENTS, ALL_JOBS, SERVICES
from modelyard_contracts.durables import all_durables, durables_of
from modelyard_contracts.permissions import IDENTITIES, OPERATOR, OUTSIDE, YARD, inbox_prefix, permissions_of


def test_every_event_and_job_has_someone_who_may_publish_it() -> None:
    granted = {identity: set(permissions_of(identity).publish) for identity in IDENTITIES}
    for event in ALL_EVENTS:
        assert event.subject in granted[event.producer]
    for job in ALL_JOBS:
        assert job.subject in granted[job.service]


def test_training_may_say_one_thing() -> None:
    permissions = permissions_of("training")
    assert permissions.publish == ("modelyard.evt.training.completed.v1",)
    assert permissions.subscribe == ("_INBOX_training.>",)
    assert not permissions.answers
    assert permissions.account == "training"


@pytest.mark.parametrize("service", SERVICES)
def test_services_have_no_right_over_streams(service: str) -> None:
    granted = permissions_of(service).publish
    dead_letters = {f"$JS.API.STREAM.MSG.{verb}.MODELYARD_DEAD_LETTERS" for verb in ("GET", "DELETE")}
    streams = {subject for subject in granted if subject.startswith("$JS.API.STREAM")}
    assert streams == (dead_letters if service == "gateway" else set())
    assert not [subject for subject in granted if "DURABLE.CREATE" in subject or "CONSUMER.DELETE" in subject]
    assert len(granted) == len(set(granted))


def test_nobody_may_acknowledge_for_another() -> None:
    for service in SERVICES:
        own = {durable.name for durable in durables_of(service)}
        acknowledged = {s.split(".")[3] for s in permissions_of(service).publish if s.startswith("$JS.ACK.")}
        assert acknowledged == own


def test_outsiders_have_an_account_each_and_the_yard_has_one() -> None:
    accounts = {identity: permissions_of(identity).account for identity in IDENTITIES}
    assert {accounts.pop(identity) for identity in OUTSIDE} == set(OUTSIDE)
    assert set(accounts.values()) == {YARD}


def test_only_the_operator_may_do_everything() -> None:
    assert [i for i in IDENTITIES if ">" in permissions_of(i).publish] == [OPERATOR]


def test_strangers_have_no_permissions() -> None:
    with pytest.raises(KeyError):
        permissions_of("stranger")


def test_durables_are_distinct_and_jobs_never_overlap() -> None:
    names = [durable.name for durable in all_durables()]
    assert len(names) == len(set(names))
    assert "gateway-events" not in names
    jobs = [subject for durable in all_durables() if durable.stream.work_queue for subject in durable.subjects]
    assert sorted(jobs) == sorted(job.subject for job in ALL_JOBS)


def test_inboxes_are_apart() -> None:
    assert len({inbox_prefix(identity) for identity in IDENTITIES}) == len(IDENTITIES)
