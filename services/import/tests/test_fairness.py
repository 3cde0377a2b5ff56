"""A crowd of one project's imports and the single one of another, through the whole service on real NATS and S3."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from modelyard_contracts import catalogue
from modelyard_contracts.calls import imports
from modelyard_contracts.events import VersionRequested
from modelyard_contracts.failures import Failure
from modelyard_contracts.ids import new_id
from modelyard_contracts.shapes import Location, StorageSource
from modelyard_import.bootstrap import build
from modelyard_import.settings import ImportSettings
from modelyard_runtime.process import supervise
from modelyard_testkit.service_stack import ServiceStack

pytestmark = pytest.mark.servers
CROWD = 30


@asynccontextmanager
async def running(stack: ServiceStack, role: str) -> AsyncIterator[None]:
    settings = ImportSettings(**stack.settings("import"), import_roles=(role,), import_parallel=1)
    async with supervise(await build(settings)):
        yield


async def request(stack: ServiceStack, project: str, model_id: str) -> None:
    """An import of nothing: it ends as soon as somebody looks at it."""
    stack.project = project
    fact = VersionRequested(
        model_id=model_id,
        model_name="digits",
        model_version="0.0.1",
        source=StorageSource(location=Location(bucket="training", prefix=f"{project}/nothing/")),
        destination=Location(bucket="artifacts", prefix=f"{project}/models/{model_id}/source/"),
    )
    await stack.say(catalogue.VERSION_REQUESTED, model_id, fact)


async def accepted(stack: ServiceStack, model_id: str) -> None:
    while True:
        try:
            await stack.ask(imports.GET, imports.GetImport(model_id=model_id))
        except Failure:
            continue  # the event has not arrived
        return


async def test_one_import_beside_another_projects_crowd(service_stack: ServiceStack) -> None:
    stack, crowd, other = service_stack, f"{service_stack.project}-a", f"{service_stack.project}-b"
    wanted = [new_id() for _ in range(CROWD + 1)]
    begun: list[str] = []
    async with running(stack, "api"):
        for model_id in wanted[:-1]:
            await request(stack, crowd, model_id)
        await request(stack, other, wanted[-1])
        await accepted(stack, wanted[-1])
        async with running(stack, "worker"):
            events = (await stack.bus("gateway")).watch_events(since=stack.since)
            async for said in events:
                if said.type == catalogue.IMPORT_STARTED.subject and said.subject in wanted:
                    begun.append(said.subject)
                if len(begun) == len(wanted):
                    break
            await events.aclose()
    assert begun.index(wanted[-1]) <= 2
    assert sorted(begun) == sorted(wanted)
