"""Gathers what is needed to decide on an order, then asks `orders`. Used by the create call, plans and the job."""

from dataclasses import dataclass

from modelyard_bus.calls import CallClient
from modelyard_contracts.calls import convert, evaluate
from modelyard_contracts.calls.context import own_context
from modelyard_contracts.calls.evaluate import DatasetView, GetDataset
from modelyard_contracts.calls.version import GET as GET_VERSION
from modelyard_contracts.calls.version import GetVersion, VersionView
from modelyard_contracts.shapes import Artifact, ConversionOrder
from modelyard_convert import orders
from modelyard_convert.errors import NoWorker
from modelyard_convert.toolchains import toolchain_of
from modelyard_convert.toolchains.target import Target, Toolchain


@dataclass(frozen=True, slots=True)
class Admitted:
    """An order that can be done, and all that it is about."""

    version: VersionView
    source: Artifact
    target: Target
    toolchain: Toolchain
    dataset: DatasetView | None


@dataclass(frozen=True, slots=True)
class Admission:
    ask: CallClient

    async def examine(self, project: str, correlationid: str, model_id: str, order: ConversionOrder) -> Admitted:
        """Raises every Failure of `orders`, NOT_FOUND for the version or dataset, UNAVAILABLE."""
        target = orders.target_of(order)
        context = own_context("convert", project, correlationid)
        version = await self.ask(GET_VERSION, context, GetVersion(model_id=model_id))
        source = orders.source_of(version, target)
        orders.check_tolerance(order, source)
        dataset = None
        if order.calibration_dataset_id is not None:
            wanted = GetDataset(dataset_id=order.calibration_dataset_id)
            dataset = await self.ask(evaluate.GET_DATASET, context, wanted)
        orders.check_calibration(version, source, target, dataset)
        return Admitted(version, source, target, toolchain_of(order.target), dataset)

    async def offered(self, toolchain: str) -> bool:
        """A worker that really has the toolchain is running now."""
        return await self.ask.answered(convert.offers(toolchain))

    async def require_worker(self, toolchain: str) -> None:
        """Raises NoWorker."""
        if not await self.offered(toolchain):
            raise NoWorker(toolchain)
