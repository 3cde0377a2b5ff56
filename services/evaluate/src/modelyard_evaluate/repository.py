"""The evaluate service's own documents: datasets and runs, each with its named queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from modelyard_contracts.calls.repeats import KeyReused
from modelyard_contracts.outcome import Cause
from modelyard_contracts.shapes import Location
from modelyard_evaluate.domain import life
from modelyard_evaluate.domain.datasets import Dataset, overlap
from modelyard_evaluate.domain.runs import OPEN, Run
from modelyard_evaluate.tasks.table import job_of
from modelyard_store.aggregates import Aggregates, Nudge
from modelyard_store.attempts import DUE, TURN, Attempts
from modelyard_store.documents import AnyOf, Collection, Condition, Documents, Duplicate, Equals, Index, Query, Sort
from modelyard_store.outbox import TOLD

DATASETS = Collection(
    "datasets",
    indexes=(
        Index(("project", "name"), unique=True),
        Index(("project", "created_at")),
        Index(("project", "hidden", "created_at")),
        Index(("hidden", "location.bucket")),
    ),
)
RUNS = Collection(
    "evaluation_runs",
    indexes=(
        Index(("project", "evaluation_id", "number"), unique=True),
        Index(("project", "deleted", "number", "created_at")),
        Index(("project", "model_id", "deleted", "number", "created_at")),
        Index(("project", "dataset_id", "state")),
        DUE,
        TURN,
        TOLD,
    ),
)
COLLECTIONS = (DATASETS, RUNS)
TELLING = (RUNS,)

_NEWEST = (Sort("created_at", descending=True),)
_MOST_RACES = 50


class Repository:
    """Everything the evaluate service keeps."""

    def __init__(self, documents: Documents, nudge: Nudge, now: Callable[[], int]) -> None:
        self.datasets = Aggregates(documents, DATASETS, Dataset, "evaluate", nudge)
        self.runs = Attempts(documents, RUNS, Run, "evaluate", nudge, now=now, open_states=OPEN)

    async def list_datasets(
        self, project: str, name: str | None, *, with_hidden: bool, offset: int, limit: int
    ) -> tuple[int, list[Dataset]]:
        """How many there are, and one page of them, newest first."""
        where: tuple[Condition, ...] = (Equals("project", project),)
        if name is not None:
            where = (*where, Equals("name", name))
        if not with_hidden:
            where = (*where, Equals("hidden", False))
        sort = _NEWEST if name is None else ()  # a name is unique
        query = Query(where=where, sort=sort, offset=offset, limit=limit)
        return await self.datasets.count(where), await self.datasets.find(query)

    async def hidden_overlap(self, location: Location) -> bool:
        """Whether some hidden dataset, of any project, shares files with this folder."""
        where = (Equals("hidden", True), Equals("location.bucket", location.bucket))
        found = await self.datasets.find(Query(where=where))
        return any(overlap(dataset.location, location) for dataset in found)

    async def uses_dataset(self, project: str, dataset_id: str) -> bool:
        """Whether an unfinished run does."""
        where = (Equals("project", project), Equals("dataset_id", dataset_id), AnyOf("state", OPEN))
        return await self.runs.count(where) > 0

    async def count_unfinished(self, project: str, model_id: str) -> int:
        """Of one version's runs."""
        return await self.runs.count((Equals("project", project), Equals("model_id", model_id), AnyOf("state", OPEN)))

    async def runs_of(self, project: str, evaluation_ids: Sequence[str]) -> list[Run]:
        """In the order of their numbers; of deleted evaluations too."""
        where = (Equals("project", project), AnyOf("evaluation_id", tuple(evaluation_ids)))
        return await self._all(Query(where=where, sort=(Sort("number"),)))

    async def list_evaluations(
        self, project: str, model_id: str | None, offset: int, limit: int
    ) -> tuple[int, list[list[Run]]]:
        """How many evaluations there are, and one page of them, newest first; each is its runs."""
        where: tuple[Condition, ...] = (Equals("project", project), Equals("deleted", False), Equals("number", 1))
        if model_id is not None:
            where = (*where, Equals("model_id", model_id))
        query = Query(where=where, sort=_NEWEST, offset=offset, limit=limit)
        order = [first.evaluation_id for first in await self.runs.find(query)]
        groups: dict[str, list[Run]] = {evaluation_id: [] for evaluation_id in order}
        for run in await self.runs_of(project, order) if order else ():
            groups[run.evaluation_id].append(run)
        return await self.runs.count(where), list(groups.values())

    async def runs_of_model(self, project: str, model_id: str) -> list[Run]:
        """Also deleted ones."""
        where = (Equals("project", project), Equals("model_id", model_id))
        return await self._all(Query(where=where))

    async def _all(self, query: Query) -> list[Run]:
        found: list[Run] = []
        while True:
            page = await self.runs.find(replace(query, offset=len(found)))
            found += page
            if len(page) < query.limit:
                return found

    async def add_run(self, run: Run) -> Run:
        """Under the evaluation's next number; the one that was made before if its id is taken.

        Raises KeyReused if that was another request's.
        """
        for _ in range(_MOST_RACES):
            taken = await self.runs_of(run.project, [run.evaluation_id])
            numbered = replace(run, number=1 + max((known.number for known in taken), default=0))
            try:
                await self.runs.add(run.project, run.run_id, life.created(numbered, job_of(numbered)), _cause(run))
            except Duplicate as duplicate:
                if duplicate.fields != ("id",):
                    continue
                return await self._made_before(run)
            return numbered
        raise Duplicate(RUNS.name, ("project", "evaluation_id", "number"))

    async def _made_before(self, run: Run) -> Run:
        kept = await self.runs.get(run.project, run.run_id)
        if kept is None or kept.request_digest != run.request_digest:
            raise KeyReused
        return kept


def _cause(run: Run) -> Cause:
    return Cause(run.correlationid)
