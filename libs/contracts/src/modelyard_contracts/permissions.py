"""Who may say and hear what on NATS, derived from the catalogue; `modelyard_bus.server_config` writes it down.

Services bind to streams and durables that the operator declared; none can create, change or read another's. Replies
to calls need no permission of their own: the server lets an answerer publish to the inbox that asked (allow_responses).

NATS checks what is published, not where the answer to it shall go: whoever may publish to a stream chooses the subject
of the receipt. So a party from outside has an account of its own. The yard hears from there the subjects that the party
may publish, and receipts go back into that account only.
"""

from dataclasses import dataclass

from modelyard_contracts.catalogue import (
    ALL_EVENTS,
    ALL_JOBS,
    DEAD_LETTERS,
    EVENTS,
    SERVICES,
    STREAMS,
    TRAINING_JOB,
    events_said_by,
    jobs_of,
)
from modelyard_contracts.durables import Durable, all_durables, durables_of

OPERATOR = "operator"  # declares streams and durables at deploy time
GATEWAY = "gateway"
IDENTITIES = (*SERVICES, TRAINING_JOB, OPERATOR)
YARD = "yard"  # the account with the streams
OUTSIDE = (TRAINING_JOB,)


@dataclass(frozen=True, slots=True)
class Permissions:
    """NATS subjects with wildcards. What is not listed is refused, and so is what is denied."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    publish_denied: tuple[str, ...] = ()
    answers: bool = False  # may publish to the reply subject of a message it received
    account: str = YARD


def inbox_prefix(identity: str) -> str:
    """Where replies to `identity` arrive. Every client must connect with it: the default `_INBOX` is refused."""
    return f"_INBOX_{identity}"


def permissions_of(identity: str) -> Permissions:
    """Raises KeyError for an identity that is none of IDENTITIES."""
    if identity == OPERATOR:
        return Permissions(publish=(">",), subscribe=(">",))
    inbox = f"{inbox_prefix(identity)}.>"
    said = tuple(event.subject for event in events_said_by(identity))
    if identity in OUTSIDE:
        return Permissions(publish=said, subscribe=(inbox,), account=identity)
    if identity not in SERVICES:
        raise KeyError(identity)
    publish = (*said, *_own_jobs(identity), *_own_durables(identity), *_shared(identity))
    subscribe = (inbox, f"modelyard.rpc.{identity}.>")
    if identity != GATEWAY:
        return Permissions(publish, subscribe, answers=True)
    publish = tuple(dict.fromkeys((*publish, *_watching(), *_dead_letters())))  # it says events of its own, and replays
    return Permissions(publish, (*subscribe, "modelyard.live.>"), _names_in_use(), answers=True)


def _own_jobs(service: str) -> tuple[str, ...]:
    return tuple(job.subject for job in jobs_of(service))


def _own_durables(service: str) -> tuple[str, ...]:
    return tuple(subject for durable in durables_of(service) for subject in _bind(durable))


def _bind(durable: Durable) -> tuple[str, ...]:
    place = f"{durable.stream.name}.{durable.name}"
    return (
        f"$JS.API.CONSUMER.MSG.NEXT.{place}",
        f"$JS.API.CONSUMER.INFO.{place}",
        f"$JS.ACK.{place}.>",
        f"modelyard.dlq.{durable.name}",
    )


def _shared(service: str) -> tuple[str, ...]:
    return ("modelyard.rpc.>", "modelyard.live.>", *(stream.probe(service) for stream in STREAMS))


def _watching() -> tuple[str, ...]:
    """The form of the request that carries the consumer's name in its subject: in the shorter form the body can name
    a durable and change it, unseen by permissions."""
    return (f"$JS.API.CONSUMER.CREATE.{EVENTS.name}.*.{EVENTS.subjects[0]}", f"$JS.FC.{EVENTS.name}.>")


def _names_in_use() -> tuple[str, ...]:
    return tuple(f"$JS.API.CONSUMER.CREATE.{EVENTS.name}.{durable.name}.>" for durable in all_durables())


def _dead_letters() -> tuple[str, ...]:
    """Read, drop, and replay: a replay is published to where the message first was."""
    return (
        f"$JS.API.STREAM.MSG.GET.{DEAD_LETTERS.name}",
        f"$JS.API.STREAM.MSG.DELETE.{DEAD_LETTERS.name}",
        *(event.subject for event in ALL_EVENTS),
        *(job.subject for job in ALL_JOBS),
    )
