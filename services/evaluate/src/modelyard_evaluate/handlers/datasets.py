"""Calls about datasets: registered where they lie, listed, shown, forgotten."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.calls.context import CallContext
from modelyard_contracts.calls.evaluate import (
    CREATE_DATASET,
    CreateDataset,
    DatasetPage,
    DatasetView,
    GetDataset,
    ListDatasets,
)
from modelyard_contracts.calls.repeats import KeyReused, created_id, request_digest
from modelyard_contracts.failures import Failure, FailureKind
from modelyard_contracts.outcome import Outcome
from modelyard_contracts.shapes import Location, UploadSource
from modelyard_evaluate.domain.datasets import Dataset, allowed, dataset_view, sees_hidden, upload_of, visible
from modelyard_evaluate.errors import InUse, NameTaken, NotFound, SourceRefused, named
from modelyard_evaluate.register import Register
from modelyard_evaluate.repository import Repository
from modelyard_evaluate.scanning import Scanner
from modelyard_store.documents import Duplicate, Stale


@dataclass(frozen=True, slots=True)
class DatasetCalls:
    """`buckets` may hold datasets, beside this project's uploads in `artifacts_bucket`; `folders` as in `allowed`."""

    repository: Repository
    register: Register
    scanner: Scanner
    buckets: tuple[str, ...]
    artifacts_bucket: str
    now: Callable[[], int]
    folders: Mapping[str, str] = field(default_factory=dict)

    async def create(self, context: CallContext, request: CreateDataset) -> DatasetView:
        dataset_id, digest = created_id(context, CREATE_DATASET), request_digest(request)
        before = await self.repository.datasets.get(context.project, dataset_id)
        if before is None:
            location = await self._location(context, request)
            upload_id = await self._kept(context, location, dataset_id)
            try:
                before = await self._add(await self._scanned(context, request, dataset_id, location, upload_id))
            except Failure:
                if upload_id and await self.repository.datasets.get(context.project, dataset_id) is None:
                    await self.register.let_go(context, upload_id, dataset_id)
                raise
        if before.request_digest != digest:
            raise KeyReused
        return dataset_view(before)

    async def get(self, context: CallContext, request: GetDataset) -> DatasetView:
        return dataset_view(await self._visible(context, request.dataset_id))

    async def list(self, context: CallContext, request: ListDatasets) -> DatasetPage:
        """`name` is the exact name."""
        total, found = await self.repository.list_datasets(
            context.project,
            request.name,
            with_hidden=sees_hidden(context.role),
            offset=request.offset,
            limit=request.limit,
        )
        return DatasetPage(total_count=total, count=len(found), datasets=tuple(map(dataset_view, found)))

    async def delete(self, context: CallContext, request: GetDataset) -> Nothing:
        """Forgets the dataset; its files stay where they are (an upload as long as uploads stay), and so do the results
        of ended runs."""
        dataset = await self._visible(context, request.dataset_id)
        if await self.repository.uses_dataset(context.project, dataset.dataset_id):
            raise InUse(f"dataset {dataset.name!r} is used by an evaluation that has not ended")
        open_on_it = await self.register.open_competitions(context, dataset.dataset_id) if dataset.hidden else ()
        if open_on_it:
            raise InUse(f"dataset {dataset.name!r} is used by the open competition {named(open_on_it)}")
        try:
            await self.repository.datasets.remove(context.project, dataset.dataset_id)
        except Stale as gone:
            raise NotFound("dataset", request.dataset_id, "dataset_id") from gone
        if dataset.upload_id is not None:
            await self.register.let_go(context, dataset.upload_id, dataset.dataset_id)
        return Nothing()

    async def _scanned(
        self, context: CallContext, request: CreateDataset, dataset_id: str, location: Location, upload_id: str | None
    ) -> Dataset:
        scan = await self.scanner.scan(request.kind, location)
        counted = await self.scanner.count(request.kind, location, scan)
        return Dataset(
            dataset_id=dataset_id,
            project=context.project,
            name=request.name,
            kind=request.kind,
            location=location,
            hidden=request.hidden,
            counts=counted.counts,
            samples=counted.samples,
            size=scan.size,
            digest=scan.digest,
            created_at=self.now(),
            created_by=context.actor,
            request_digest=request_digest(request),
            upload_id=upload_id,
        )

    async def _kept(self, context: CallContext, location: Location, dataset_id: str) -> str | None:
        """The upload that the files belong to; they stay from now on. Files of no upload stay anyway."""
        upload_id = upload_of(location, context.project, self.artifacts_bucket)
        if upload_id is None:
            return None
        try:
            await self.register.keep(context, upload_id, dataset_id)
        except Failure as failure:
            if failure.kind is not FailureKind.NOT_FOUND:
                raise
            return None
        return upload_id

    async def _location(self, context: CallContext, request: CreateDataset) -> Location:
        """Where the files are. What is hidden stays hidden: no other role registers it, nor the same files openly."""
        if request.hidden and not sees_hidden(context.role):
            rule = "role publisher or admin"
            message = "only a publisher may create a hidden dataset"
            raise SourceRefused(message, field="hidden", rule=rule, kind=FailureKind.FORBIDDEN)
        if isinstance(request.source, UploadSource):
            place = await self.register.upload(context, request.source.upload_id)
        else:
            place = request.source.location
        location = allowed(
            place,
            context.project,
            buckets=self.buckets,
            artifacts_bucket=self.artifacts_bucket,
            folders=self.folders,
        )
        if not request.hidden and await self.repository.hidden_overlap(location):
            message = f"{location.bucket}/{location.prefix} cannot be used"
            raise SourceRefused(message, field="source.location", rule="not reserved", kind=FailureKind.FORBIDDEN)
        return location

    async def _add(self, dataset: Dataset) -> Dataset:
        """The dataset, or the one that the same request made a moment ago. Raises NameTaken."""
        try:
            await self.repository.datasets.add(dataset.project, dataset.dataset_id, Outcome(dataset))
        except Duplicate as duplicate:
            before = await self.repository.datasets.get(dataset.project, dataset.dataset_id)
            if before is None:
                raise NameTaken(dataset.name) from duplicate
            return before
        return dataset

    async def _visible(self, context: CallContext, dataset_id: str) -> Dataset:
        """Raises NotFound, also for what the caller may not see."""
        dataset = await self.repository.datasets.get(context.project, dataset_id)
        if dataset is None or not visible(dataset, context.role):
            raise NotFound("dataset", dataset_id, "dataset_id")
        return dataset
