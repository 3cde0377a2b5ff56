"""Every message there is: who sends it, who hears it, on which stream it lies, how often it is tried again.

Streams, durables, per-service NATS permissions, AsyncAPI and the event diagram are all derived from here
(`python -m modelyard_contracts.generate`). A message that is not listed cannot be sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from modelyard_contracts import events, jobs

DataT = TypeVar("DataT", bound=BaseModel)

SERVICES = ("gateway", "import", "version", "convert", "evaluate", "publish")
TRAINING_JOB = "training"  # an outside party: it may publish one event and nothing else


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds. The delay doubles from `first_delay` to `max_delay`, with jitter; then the dead-letter stream. While
    somebody whom the handler needs is away, a message waits as long as that takes, however often it is delivered."""

    max_deliver: int
    ack_wait: float
    first_delay: float
    max_delay: float


EVENT_RETRY = Retry(max_deliver=200, ack_wait=10, first_delay=0.2, max_delay=60)  # some three hours of errors
# Of long jobs: so many that stops, evictions and outages never use them up. What may fail how often is counted in the
# document (modelyard_work), which knows an interruption from a failure.
JOB_RETRY = Retry(max_deliver=1000, ack_wait=10, first_delay=0.5, max_delay=60)


@dataclass(frozen=True, slots=True)
class Stream:
    """`max_age` in seconds; `work_queue` deletes a message once it is acked.

    The first subject is what the stream is for. On the second each service writes what shows whether the stream stores
    (a stream whose disk was full stores nothing, while its neighbour does); nobody hears it and it ages out in seconds.
    """

    name: str
    subjects: tuple[str, str]
    work_queue: bool
    max_age: int
    duplicate_window: int = 1200

    def probe(self, identity: str) -> str:
        return self.subjects[1].replace("*", identity)


EVENTS = Stream(
    "MODELYARD_EVENTS", ("modelyard.evt.>", "modelyard.probe.events.*"), work_queue=False, max_age=30 * 86400
)
JOBS = Stream("MODELYARD_JOBS", ("modelyard.job.>", "modelyard.probe.jobs.*"), work_queue=True, max_age=30 * 86400)
DEAD_LETTERS = Stream(
    "MODELYARD_DEAD_LETTERS",
    ("modelyard.dlq.>", "modelyard.probe.dead-letters.*"),
    work_queue=False,
    max_age=90 * 86400,
)
STREAMS = (EVENTS, JOBS, DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Event(Generic[DataT]):
    """A past-tense fact on `modelyard.evt.<context>.<fact>.v<n>`."""

    subject: str
    data: type[DataT]
    producer: str
    consumers: tuple[str, ...]

    stream = EVENTS
    retry = EVENT_RETRY


@dataclass(frozen=True, slots=True)
class Job(Generic[DataT]):
    """Work for exactly one worker, on `modelyard.job.<service>.<kind>`; the service sends it to itself."""

    subject: str
    data: type[DataT]
    service: str
    retry: Retry = JOB_RETRY

    stream = JOBS

    @property
    def durable(self) -> str:
        return self.subject.removeprefix("modelyard.job.").replace(".", "-")


def _evt(fact: str, data: type[DataT], producer: str, *consumers: str) -> Event[DataT]:
    return Event(f"modelyard.evt.{fact}.v1", data, producer, consumers)


TRAINING_COMPLETED = _evt("training.completed", events.TrainingCompleted, TRAINING_JOB, "import")

VERSION_REQUESTED = _evt("version.requested", events.VersionRequested, "version", "import")
VERSION_PUBLISHED = _evt("version.published", events.VersionPublished, "version", "convert", "evaluate", "publish")
VERSION_FAILED = _evt("version.failed", events.VersionFailed, "version", "gateway")
VERSION_DELETED = _evt("version.deleted", events.VersionDeleted, "version", "import", "convert", "evaluate", "publish")
VERSION_CHANGED = _evt("version.changed", events.VersionChanged, "version", "gateway")
VERSION_ARCHIVED = _evt("version.archived", events.VersionArchived, "version", "gateway", "publish")
VERSION_RESTORED = _evt("version.restored", events.VersionRestored, "version", "gateway")
VERSION_ALIASED = _evt("version.aliased", events.VersionAliased, "version", "gateway", "version")
ARTIFACT_ADDED = _evt("version.artifact-added", events.ArtifactAdded, "version", "evaluate")

IMPORT_STARTED = _evt("import.started", events.ImportStarted, "import", "gateway")
IMPORT_SUCCEEDED = _evt("import.succeeded", events.ImportSucceeded, "import", "version")
IMPORT_FAILED = _evt("import.failed", events.ImportFailed, "import", "version")

CONVERSION_CREATED = _evt("conversion.created", events.ConversionCreated, "convert", "version")
CONVERSION_STARTED = _evt("conversion.started", events.ConversionStarted, "convert", "gateway")
CONVERSION_SUCCEEDED = _evt("conversion.succeeded", events.ConversionSucceeded, "convert", "version")
CONVERSION_FAILED = _evt("conversion.failed", events.ConversionFailed, "convert", "version")

EVALUATION_CREATED = _evt("evaluation.created", events.EvaluationCreated, "evaluate", "version")
EVALUATION_STARTED = _evt("evaluation.started", events.EvaluationStarted, "evaluate", "gateway")
EVALUATION_SUCCEEDED = _evt("evaluation.succeeded", events.EvaluationSucceeded, "evaluate", "version", "publish")
EVALUATION_FAILED = _evt("evaluation.failed", events.EvaluationFailed, "evaluate", "version", "publish")
EVALUATION_STOPPED = _evt("evaluation.stopped", events.EvaluationStopped, "evaluate", "version")

PUBLICATION_LISTED = _evt("publication.listed", events.PublicationListed, "publish", "version")
PUBLICATION_WITHDRAWN = _evt("publication.withdrawn", events.PublicationWithdrawn, "publish", "version")
PUBLICATION_REFUSED = _evt("publication.refused", events.PublicationRefused, "publish", "version")
COMPETITION_OPENED = _evt("publication.competition-opened", events.CompetitionOpened, "publish", "gateway")
ENTRY_SUBMITTED = _evt("publication.entry-submitted", events.EntrySubmitted, "publish", "evaluate", "version")
ENTRY_SCORED = _evt("publication.entry-scored", events.EntryScored, "publish", "version")
ENTRY_REJECTED = _evt("publication.entry-rejected", events.EntryRejected, "publish", "version")

IMPORT_FETCH = Job("modelyard.job.import.fetch", jobs.ImportJob, "import")
IMPORT_MATCH = Job("modelyard.job.import.match", jobs.MatchJob, "import", retry=EVENT_RETRY)
CONVERT_ONNX = Job("modelyard.job.convert.onnx", jobs.ConversionJob, "convert")
CONVERT_OPENVINO = Job("modelyard.job.convert.openvino", jobs.ConversionJob, "convert")
EVALUATE_IMAGE_CLASSIFICATION = Job("modelyard.job.evaluate.image-classification", jobs.EvaluationJob, "evaluate")
VERSION_PURGE = Job("modelyard.job.version.purge", jobs.PurgeJob, "version", retry=EVENT_RETRY)
VERSION_RECORD = Job("modelyard.job.version.record", jobs.RecordJob, "version", retry=EVENT_RETRY)
VERSION_VERIFY = Job("modelyard.job.version.verify", jobs.VerifyJob, "version")
VERSION_AUDIT = Job("modelyard.job.version.audit", jobs.AuditJob, "version")

ALL_EVENTS: tuple[Event[BaseModel], ...] = tuple(v for v in globals().copy().values() if isinstance(v, Event))
ALL_JOBS: tuple[Job[BaseModel], ...] = tuple(v for v in globals().copy().values() if isinstance(v, Job))


def events_heard_by(service: str) -> Iterator[Event[BaseModel]]:
    return (event for event in ALL_EVENTS if service in event.consumers)


def events_said_by(producer: str) -> Iterator[Event[BaseModel]]:
    return (event for event in ALL_EVENTS if event.producer == producer)


def jobs_of(service: str) -> Iterator[Job[BaseModel]]:
    return (job for job in ALL_JOBS if job.service == service)


def events_durable(service: str) -> str:
    """Name of the one durable consumer through which a service hears its events. The gateway has none: it
    listens to everything with ephemeral, ordered consumers for live views."""
    return f"{service}-events"
