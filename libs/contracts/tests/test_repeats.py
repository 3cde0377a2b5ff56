"""Whose key meets what."""

from modelyard_contracts.calls import version
from modelyard_contracts.calls.context import CallContext, own_context
from modelyard_contracts.calls.repeats import created_id
from modelyard_contracts.ids import derived_id
from modelyard_contracts.shapes import Role


def asked(actor: str, key: str | None, project: str = "p") -> CallContext:
    return CallContext(project=project, actor=actor, role=Role.WRITER, idempotency_key=key)


def test_a_key_meets_what_its_own_caller_made_and_nobody_else() -> None:
    made = created_id(asked("token:ann", "k"), version.CREATE)
    assert created_id(asked("token:ann", "k"), version.CREATE) == made
    others = [
        created_id(asked("token:bob", "k"), version.CREATE),
        created_id(asked("token:ann", "k2"), version.CREATE),
        created_id(asked("token:ann", "k", "q"), version.CREATE),
        created_id(asked("token:ann", "k"), version.VERIFY),
        created_id(asked("token:bob", "token:ann\x1fk"), version.CREATE),
    ]
    assert made not in others
    assert len(set(others)) == len(others)


def test_without_a_key_everything_is_new() -> None:
    assert created_id(asked("token:ann", None), version.CREATE) != created_id(asked("token:ann", None), version.CREATE)


def test_what_a_service_asked_before_an_upgrade_is_met_after_it() -> None:
    context = own_context("import", "p", "c").model_copy(update={"idempotency_key": "event-rule"})
    assert created_id(context, version.CREATE) == derived_id("p", version.CREATE.subject, "event-rule")
