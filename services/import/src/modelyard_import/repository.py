"""The import service's own documents: imports, training jobs, rules and uploads, each with its named queries."""

from collections.abc import Callable

from modelyard_import.domain.imports import OPEN, Import
from modelyard_import.domain.training import Rule, TrainingJob
from modelyard_import.domain.training_names import JobName
from modelyard_import.domain.uploads import Upload
from modelyard_store.aggregates import Aggregates, Nudge
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import AnyOf, Between, Collection, Documents, Equals, Index, Query, Sort
from modelyard_store.outbox import TOLD
from modelyard_store.watched import Watched, due_by

IMPORTS = Collection("imports", indexes=(Index(("source.upload_id", "state")), DUE, TURN, TOLD))
TRAINING_JOBS = Collection(
    "training_jobs",
    indexes=(
        Index(("project", "received_at")),
        Index(("project", "job_name", "received_at")),
        Index(("project", "training.job_version", "received_at")),
        Index(("project", "status", "received_at")),
        due_by("matched"),
        TOLD,
    ),
)
JOB_NAMES = Collection("training_job_names", indexes=(Index(("project", "job_name"), unique=True),))
RULES = Collection("import_rules", indexes=(Index(("project", "name"), unique=True),))
UPLOADS = Collection("uploads", indexes=(Index(("due_at",)),))
COLLECTIONS = (IMPORTS, TRAINING_JOBS, JOB_NAMES, RULES, UPLOADS)
TELLING = (IMPORTS, TRAINING_JOBS)


class Repository:
    def __init__(self, documents: Documents, nudge: Nudge, now: Callable[[], int]) -> None:
        self.imports = Attempts(
            documents, IMPORTS, Import, "import", nudge, now=now, open_states=OPEN, about=_version_of
        )
        self.training_jobs = Watched(
            documents, TRAINING_JOBS, TrainingJob, "import", nudge, now=now, waits_by="matched", waits_in=(False,)
        )
        self.job_names = Aggregates(documents, JOB_NAMES, JobName, "import", nudge)
        self.rules = Aggregates(documents, RULES, Rule, "import", nudge)
        self.uploads = Aggregates(documents, UPLOADS, Upload, "import", nudge)

    async def uploads_due(self, now: int, limit: int) -> list[Upload]:
        """Of all projects, those whose time came first."""
        where = (Between("due_at", 0, now),)
        return await self.uploads.find(Query(where=where, sort=(Sort("due_at"),), limit=limit))

    async def imports_upload(self, upload_id: str) -> bool:
        """Whether an import that has not ended reads this upload."""
        where = (Equals("source.upload_id", upload_id), AnyOf("state", OPEN))
        return await self.imports.count(where) > 0

    async def rules_of(self, project: str) -> list[Rule]:
        """By name. The create-rule call sees to it that one page holds them all."""
        return await self.rules.find(Query(where=(Equals("project", project),), sort=(Sort("name"),)))

    async def count_rules(self, project: str) -> int:
        return await self.rules.count((Equals("project", project),))


def _version_of(job: Import) -> str:
    """Everything is said about the version, so that the version service hears what concerns it in order."""
    return job.model_id
