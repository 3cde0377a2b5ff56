"""What other services tell, through the handlers: once, twice, too late."""

from typing import Any

import pytest

from modelyard_contracts import catalogue, events
from modelyard_contracts.failures import Failure, NotStorable

from .conftest import Facts, Register


async def types(register: Register) -> list[str]:
    return [message.type for message in await register.said()]


async def test_an_import_publishes_and_says_so_once(register: Register, facts: Facts) -> None:
    plan = {"convert": [{"target": "openvino-fp16"}]}
    model_id = await register.create(plan=plan)
    await register.said()
    for _ in range(2):
        await register.tell(register.reports.import_succeeded, facts.imported(model_id))
    [message] = await register.said()
    fact = events.VersionPublished.model_validate(message.data)
    assert message.id.startswith(f"{model_id}:3:")  # number 2 was the record of its creation
    assert (message.correlationid, message.causationid) == ("c-2", "e-0")
    assert (fact.digest, fact.size, fact.plan.convert[0].target) == ("sha256:" + "cd" * 32, 5000, "openvino-fp16")
    view = await register.view(model_id)
    assert view.config is not None
    assert view.training is not None
    assert (view.model_status, view.config.model_type, view.training.job_id) == ("published", "ONNX", "j-1")
    assert register.objects.removed == []


async def test_a_failed_import_gives_its_reason(register: Register, facts: Facts) -> None:
    model_id = await register.create()
    await register.said()
    for _ in range(2):
        await register.tell(register.reports.import_failed, facts.refused(model_id))
    await register.tell(register.reports.import_succeeded, facts.imported(model_id))
    assert await types(register) == [catalogue.VERSION_FAILED.subject]
    view = await register.view(model_id)
    assert view.failure is not None
    assert (view.model_status, view.failure["reason"]) == ("failed", "no config")


async def test_a_package_whose_description_cannot_be_stored_fails(register: Register, facts: Facts) -> None:
    model_id = await register.create()
    await register.said()
    fact = facts.imported(model_id)
    inspection = fact.artifact.inspection.model_copy(update={"opsets": {"a\x00b": 1}})
    artifact = fact.artifact.model_copy(update={"inspection": inspection})
    with pytest.raises(NotStorable):
        await register.tell(register.reports.import_succeeded, fact.model_copy(update={"artifact": artifact}))
    assert await types(register) == [catalogue.VERSION_FAILED.subject]
    view = await register.view(model_id)
    assert view.model_status == "failed"
    assert view.failure is not None
    assert view.failure["problems"][0]["field"] == "artifacts.0.inspection.opsets.a\ufffdb"
    assert view.failure["problems"][0]["rule"] == "text without U+0000"


async def test_results_that_cannot_be_stored_hold_nothing(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    created = events.ConversionCreated(conversion_id="k-1", model_id=model_id, target="openvino-fp16", origin="plan")
    await register.tell(register.reports.conversion_created, created)
    fact = facts.converted(model_id)
    inspection = fact.artifact.inspection.model_copy(update={"producer": "\x00"})
    artifact = fact.artifact.model_copy(update={"inspection": inspection})
    with pytest.raises(NotStorable):
        await register.tell(register.reports.conversion_succeeded, fact.model_copy(update={"artifact": artifact}))
    assert (await register.view(model_id)).in_use == ()


async def test_what_arrives_for_a_deleted_version_is_removed(register: Register, facts: Facts) -> None:
    model_id = await register.create()
    await register.delete(model_id)
    await register.said()
    await register.tell(register.reports.import_succeeded, facts.imported(model_id))
    await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    assert register.objects.removed == [("artifacts", f"p1/models/{model_id}/")] * 2
    await register.tell(register.reports.import_failed, facts.refused(model_id))
    assert await types(register) == []


async def test_a_conversion_holds_and_then_adds_its_artifact(register: Register, facts: Facts) -> None:
    model_id = await register.published()
    await register.said()
    created = events.ConversionCreated(conversion_id="k-1", model_id=model_id, target="openvino-fp16", origin="plan")
    await register.tell(register.reports.conversion_created, created)
    assert (await register.view(model_id)).in_use == ("a conversion to openvino-fp16 has not ended",)
    for _ in range(2):
        await register.tell(register.reports.conversion_succeeded, facts.converted(model_id))
    await register.tell(register.reports.conversion_created, created)  # delivered again, late
    view = await register.view(model_id)
    assert [artifact.target for artifact in view.artifacts] == ["source", "openvino-fp16"]
    assert view.in_use == ()
    assert await types(register) == [catalogue.ARTIFACT_ADDED.subject]


async def test_work_that_failed_or_was_stopped_holds_no_more(register: Register) -> None:
    model_id = await register.published()
    conversion = {"conversion_id": "k-1", "model_id": model_id, "target": "t"}
    await register.tell(register.reports.conversion_created, events.ConversionCreated(**conversion, origin="request"))
    for run in ("r-1", "r-2"):
        created = events.EvaluationCreated(
            run_id=run, evaluation_id="ev", version="V0001", model_id=model_id, artifact_id="a-source",
            dataset_id="d", origin="request",
        )  # fmt: skip
        await register.tell(register.reports.evaluation_created, created)
    assert len((await register.view(model_id)).in_use) == 3
    failed = events.ConversionFailed(**conversion, code="ModelArts.3054", reason="no")
    await register.tell(register.reports.conversion_failed, failed)
    ended: dict[str, Any] = {"evaluation_id": "ev", "version": "V0001", "model_id": model_id}
    await register.tell(
        register.reports.evaluation_ended, events.EvaluationFailed(run_id="r-1", **ended, code="x", reason="no")
    )
    await register.tell(register.reports.evaluation_ended, events.EvaluationStopped(run_id="r-2", **ended))
    assert (await register.view(model_id)).in_use == ()


async def test_another_projects_word_changes_nothing(register: Register, facts: Facts) -> None:
    model_id = await register.create()
    await register.tell(register.reports.import_failed, facts.refused(model_id), project="p2")
    assert (await register.view(model_id)).model_status == "publishing"
    with pytest.raises(Failure, match="no model"):
        await register.view(model_id, project="p2")
