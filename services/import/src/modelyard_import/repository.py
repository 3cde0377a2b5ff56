"""The import service's own documents: imports, training jobs, rules and uploads, each with its named queries."""

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter

from modelyard_contracts.catalogue import IMPORT_FAILED, IMPORT_STARTED, IMPORT_SUCCEEDED, Event
from modelyard_contracts.events import ImportFailed, ImportStarted, ImportSucceeded
from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import ScanReport
from modelyard_import.domain import imports
from modelyard_import.domain.imports import Import, Progress
from modelyard_import.domain.training import Rule, TrainingJob
from modelyard_import.domain.training_names import JobName
from modelyard_import.domain.uploads import Upload
from modelyard_store import claims
from modelyard_store.aggregates import Aggregates, Nudge, Say
from modelyard_store.documents import AnyOf, Between, Collection, Documents, Equals, Index, Query, Sort

__all__ = ["COLLECTIONS", "Repository", "Say"]

IMPORTS = Collection("imports", indexes=(Index(("source.upload_id", "state")), Index(("due_at",))))
TRAINING_JOBS = Collection(
    "training_jobs",
    indexes=(
        Index(("project", "received_at")),
        Index(("project", "job_name", "received_at")),
        Index(("project", "training.job_version", "received_at")),
        Index(("project", "status", "received_at")),
    ),
)
JOB_NAMES = Collection("training_job_names", indexes=(Index(("project", "job_name"), unique=True),))
RULES = Collection("import_rules", indexes=(Index(("project", "name"), unique=True),))
UPLOADS = Collection("uploads", indexes=(Index(("due_at",)),))
COLLECTIONS = (IMPORTS, TRAINING_JOBS, JOB_NAMES, RULES, UPLOADS)
TELLING = (IMPORTS, TRAINING_JOBS)


_IMPORT = TypeAdapter(Import)
Decide = Callable[[Import], tuple[Import, Sequence[Say]]]


class Repository:
    def __init__(self, documents: Documents, nudge: Nudge) -> None:
        self._documents = documents
        self._nudge = nudge
        self.imports = Aggregates(documents, IMPORTS, Import, "import", nudge)
        self.training_jobs = Aggregates(documents, TRAINING_JOBS, TrainingJob, "import", nudge)
        self.job_names = Aggregates(documents, JOB_NAMES, JobName, "import", nudge)
        self.rules = Aggregates(documents, RULES, Rule, "import", nudge)
        self.uploads = Aggregates(documents, UPLOADS, Upload, "import", nudge)

    async def uploads_due(self, now: int, limit: int) -> list[Upload]:
        """Of all projects, those whose time came first."""
        where = (Between("due_at", 0, now),)
        return await self.uploads.find(Query(where=where, sort=(Sort("due_at"),), limit=limit))

    async def imports_due(self, now: int, limit: int) -> list[Import]:
        """Of all projects, those that are silent, the longest first."""
        where = (Between("due_at", 0, now),)
        return await self.imports.find(Query(where=where, sort=(Sort("due_at"),), limit=limit))

    async def imports_upload(self, upload_id: str) -> bool:
        """Whether an import that has not ended reads this upload."""
        where = (Equals("source.upload_id", upload_id), AnyOf("state", ("waiting", "running")))
        return await self.imports.count(where) > 0

    async def rules_of(self, project: str) -> list[Rule]:
        """By name. The create-rule call sees to it that one page holds them all."""
        return await self.rules.find(Query(where=(Equals("project", project),), sort=(Sort("name"),)))

    async def count_rules(self, project: str) -> int:
        return await self.rules.count((Equals("project", project),))

    async def take(self, import_id: str, *, now: int, lease_ms: int) -> Import | None:
        """Make the next attempt ours. None when it has ended or is gone. Raises Held."""

        def decide(job: Import) -> tuple[Import, Sequence[Say]]:
            started = ImportStarted(import_id=job.import_id, model_id=job.model_id)
            says = (_say(IMPORT_STARTED, started, job),) if job.attempt == 1 else ()
            return imports.start(job, now=now), says

        claimed = await claims.claim(
            self._documents,
            IMPORTS,
            import_id,
            now=now,
            lease_ms=lease_ms,
            states=("waiting", "running"),
            change=self.imports.edit(import_id, decide),
        )
        self._nudge()
        return None if claimed is None else _IMPORT.validate_python(claimed.body)

    async def report(self, job: Import, progress: Progress, *, now: int, lease_ms: int) -> None:
        """Renew the lease and keep the progress. Raises Lost and Cancelled."""
        await self._renew(
            job, lambda current: (imports.report(current, progress, now=now), ()), now=now, lease_ms=lease_ms
        )

    async def begin_anew(self, job: Import) -> Import:
        """In a fresh folder. Raises Lost and Cancelled."""
        return await self._amend(job, lambda current: (imports.begun_anew(current), ()))

    async def abandon(self, job: Import) -> Import:
        """See to it that no other attempt goes on in this one's folder. Raises Lost and Cancelled."""
        return await self._amend(job, lambda current: (imports.abandon(current), ()))

    async def interrupt(self, job: Import, progress: Progress, reason: str, *, now: int) -> None:
        """Keep the progress and let go of the claim. Raises Lost and Cancelled."""
        await self._renew(
            job, lambda current: (imports.interrupt(current, progress, reason, now=now), ()), now=now, lease_ms=0
        )

    async def succeed(self, job: Import, progress: Progress, fact: ImportSucceeded, *, now: int) -> Import:
        """Raises Lost and Cancelled."""
        return await self._finish(
            job,
            lambda current: (
                imports.succeed(current, progress, fact.artifact, now=now),
                (_say(IMPORT_SUCCEEDED, fact, current),),
            ),
        )

    async def fail(self, job: Import, progress: Progress, failure: Failure, *, now: int) -> Import:
        """Raises Lost and Cancelled."""
        return await self._finish(
            job,
            lambda current: (
                imports.fail(current, progress, failure, now=now),
                (failed(current, failure, progress.scan),),
            ),
        )

    async def _renew(self, job: Import, decide: Decide, *, now: int, lease_ms: int) -> None:
        await claims.renew(
            self._documents,
            IMPORTS,
            job.import_id,
            job.attempt,
            now=now,
            lease_ms=lease_ms,
            change=self.imports.edit(job.import_id, decide),
        )

    async def _amend(self, job: Import, decide: Decide) -> Import:
        change = self.imports.edit(job.import_id, decide)
        changed = await claims.amend(self._documents, IMPORTS, job.import_id, job.attempt, change)
        return _IMPORT.validate_python(changed.body)

    async def _finish(self, job: Import, decide: Decide) -> Import:
        change = self.imports.edit(job.import_id, decide)
        done = await claims.finish(self._documents, IMPORTS, job.import_id, job.attempt, change)
        self._nudge()
        return _IMPORT.validate_python(done.body)


def failed(job: Import, failure: Failure, scan: ScanReport | None = None) -> Say:
    fact = ImportFailed(
        import_id=job.import_id,
        model_id=job.model_id,
        code=failure.code,
        reason=failure.message,
        problems=tuple(problem.model_dump() for problem in failure.problems),
        scan=scan,
    )
    return _say(IMPORT_FAILED, fact, job)


def _say(message: Event[Any], data: BaseModel, job: Import) -> Say:
    """Said about the version, so that the version service hears what concerns it in order."""
    return Say(message, data, job.model_id, job.correlationid)
