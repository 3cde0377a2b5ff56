"""The history of a version: a chain of records, each holding the hash of the one before (docs/history.md).

`recorded` adds the record of a change to what is saved with that change, so no change is without one and none is told
twice. The head of the chain (number and hash of the newest record) lies in the version document; `verdict` follows the
chain up to it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import TypeAdapter

from modelyard_contracts import catalogue
from modelyard_contracts.calls.version import Change, HistoryRecord, HistoryVerdict
from modelyard_contracts.jobs import RecordJob
from modelyard_version.domain.versions import GENESIS, Version, VersionOutcome

DELETED: Final = "deleted"
ARCHIVED: Final = "archived"
LONGEST: Final = 4000
"""Bytes of JSON. A longer value stands in a record as its SHA-256, so that a record stays a small message."""

_PLAIN: Final = (
    "model_name", "model_version", "description", "labels", "tags", "model_docs", "model_type", "model_size",
    "install_type", "specification", "source", "source_type", "workspace_id", "plan", "training", "scan", "failure",
    "expires_at",
)  # fmt: skip
_LISTS: Final[Mapping[str, tuple[str, str, frozenset[str]]]] = {
    "artifacts": (
        "artifact",
        "artifact_id",
        frozenset({"kind", "format", "target", "size", "digest", "conversion_id", "made_in"}),
    ),
    "evaluations": ("evaluation", "run_id", frozenset({"version", "artifact_id", "dataset_id", "metrics", "made_in"})),
    "work": ("work", "id", frozenset({"words"})),
    "listings": ("listing", "listing_id", frozenset({"title"})),
    "refusals": ("refusal", "listing_id", frozenset({"title", "code", "reason"})),
    "entries": (
        "entry",
        "entry_id",
        frozenset({"competition_id", "artifact_id", "deadline", "state", "score", "code", "reason"}),
    ),
    "marks": ("alias", "alias", frozenset({"alias"})),
}
"""Attribute of a version → how one of its elements is called, what names it, what is told of it."""

_ANYTHING: Final = TypeAdapter(Any)


@dataclass(frozen=True, slots=True)
class Occasion:
    """Who made a change, when (ms since 1970 UTC), and on which request of the outside world."""

    by: str
    at: int
    correlationid: str


@dataclass(frozen=True, slots=True)
class Head:
    """Number and hash of the newest record that was committed, and when (ms)."""

    seq: int
    hash: str
    at: int


def recorded(before: Version | None, outcome: VersionOutcome, occasion: Occasion) -> VersionOutcome:
    """With the record of what a user sees change. Where nothing of that changes, the outcome as it is."""
    after = outcome.value
    changes = _changes(before, after)
    if not changes:
        return outcome
    record = sealed(
        HistoryRecord(
            model_id=after.model_id,
            seq=after.history_seq + 1,
            at=occasion.at,
            by=occasion.by,
            action=outcome.action,
            changes=changes,
            correlationid=occasion.correlationid,
            previous=after.history_hash,
            hash="",
        )
    )
    version = replace(after, history_seq=record.seq, history_hash=record.hash, history_at=record.at)
    return replace(outcome, value=version, says=(*outcome.says, (catalogue.VERSION_RECORD, RecordJob(record=record))))


def visible(version: Version) -> dict[str, Any]:
    """Everything that a user sees of a version, as its history tells it."""
    return dict(_visible(version, None))


def sealed(record: HistoryRecord) -> HistoryRecord:
    """With the hash that belongs to the rest of it."""
    return record.model_copy(update={"hash": hash_of(record)})


def hash_of(record: HistoryRecord) -> str:
    """Hexadecimal SHA-256 of the record without its hash, as canonical JSON."""
    return hashlib.sha256(_canonical(record.model_dump(mode="json", exclude={"hash"}))).hexdigest()


def verdict(
    model_id: str, head: Head | None, records: Mapping[int, HistoryRecord | None], settled_before: int
) -> HistoryVerdict:
    """`records` by number, None for one that cannot be read; `head` None when the version is gone for good.

    What may have been committed at `settled_before` (ms) or later may still be on its way to the store, and is not
    missed.
    """
    last = max((head.seq if head else 0, *records))
    broken_at, reason = _first_fault(head, last, records, settled_before)
    if broken_at is None:
        broken_at, reason = _last_fault(head, last, records)
    intact = broken_at is None
    return HistoryVerdict(model_id=model_id, intact=intact, records=len(records), broken_at=broken_at, reason=reason)


Fault = tuple[int | None, str | None]


def _first_fault(
    head: Head | None, last: int, records: Mapping[int, HistoryRecord | None], settled_before: int
) -> Fault:
    previous: str | None = GENESIS
    for seq in range(1, last + 1):
        if seq not in records:
            if _known_at(seq + 1, head, last, records) < settled_before:
                return seq, f"record {seq} is missing"
            previous = None
            continue
        record = records[seq]
        if record is None or record.seq != seq or record.hash != hash_of(record):
            return seq, f"record {seq} was changed: its hash does not belong to its content"
        if previous not in (None, record.previous):
            return seq, f"record {seq} does not follow record {seq - 1}: one of them was replaced"
        previous = record.hash
    return None, None


def _known_at(seq: int, head: Head | None, last: int, records: Mapping[int, HistoryRecord | None]) -> int:
    """When the next record that is there, or the head, was committed: what is missing before it is not younger."""
    following = next((records[number] for number in range(seq, last + 1) if number in records), None)
    return following.at if following else head.at if head else 0


def _last_fault(head: Head | None, last: int, records: Mapping[int, HistoryRecord | None]) -> Fault:
    newest = records.get(last)
    if head is None:
        if newest is None or newest.action != DELETED:
            return last + 1, f"record {last + 1} is missing: the version is gone and no record says so"
    elif last > head.seq:
        return head.seq + 1, f"record {head.seq + 1} was never committed with the version"
    elif newest is not None and newest.hash != head.hash:
        return last, f"record {last} was replaced: the version itself names another hash"
    return None, None


def _changes(before: Version | None, after: Version) -> dict[str, Change]:
    was, now = dict(_visible(before, after)) if before else {}, dict(_visible(after, before))
    return {
        name: Change(before=was.get(name), after=now.get(name))
        for name in (*was, *(name for name in now if name not in was))
        if was.get(name) != now.get(name)
    }


def _visible(version: Version, other: Version | None) -> Iterator[tuple[str, Any]]:
    """What a user sees, as JSON without nulls; attributes that both versions share are left out, as unchanged."""
    yield "model_status", _status(version)
    for name in _unshared(_PLAIN, version, other):
        yield name, _json(getattr(version, name))
    if version.config and not (other and other.config is version.config):
        yield "config", f"sha256:{hashlib.sha256(_canonical(_plain(version.config))).hexdigest()}"
    for name in _unshared(_LISTS, version, other):
        word, key, told = _LISTS[name]
        for element in getattr(version, name):
            facts = _plain(element)
            yield f"{word} {facts[key]}", {fact: _json(facts[fact]) for fact in sorted(told & facts.keys())}


def _status(version: Version) -> str:
    if version.deleted_at is not None:
        return DELETED
    return ARCHIVED if version.archived_at is not None else version.model_status


def _unshared(names: Iterable[str], version: Version, other: Version | None) -> Sequence[str]:
    return [name for name in names if other is None or getattr(version, name) is not getattr(other, name)]


def _json(value: Any) -> Any:
    plain = _plain(value)
    text = _canonical(plain)
    return plain if len(text) <= LONGEST else {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}


def _plain(value: Any) -> Any:
    return _ANYTHING.dump_python(value, mode="json", exclude_none=True)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
