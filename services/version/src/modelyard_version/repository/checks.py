"""Verifications and audits as documents, each with the claim of the worker that is at it."""

from collections.abc import Callable
from typing import Final

from modelyard_store.aggregates import Nudge
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import Collection, Documents, Index
from modelyard_store.outbox import TOLD
from modelyard_version.domain.audit import Audit
from modelyard_version.domain.checks import OPEN
from modelyard_version.domain.verification import Verification

VERIFICATIONS: Final = Collection("verifications", indexes=(Index(("project", "created_at")), DUE, TURN, TOLD))
AUDITS: Final = Collection("audits", indexes=(Index(("project", "created_at")), DUE, TURN, TOLD))


def verifications_in(documents: Documents, nudge: Nudge, now: Callable[[], int]) -> Attempts[Verification]:
    return Attempts(documents, VERIFICATIONS, Verification, "version", nudge, now=now, open_states=OPEN)


def audits_in(documents: Documents, nudge: Nudge, now: Callable[[], int]) -> Attempts[Audit]:
    return Attempts(documents, AUDITS, Audit, "version", nudge, now=now, open_states=OPEN)
