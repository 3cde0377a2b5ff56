"""Projects take turns at a worker, toolchain by toolchain."""

from dataclasses import replace
from typing import Any

from modelyard_contracts.catalogue import CONVERT_ONNX, CONVERT_OPENVINO
from modelyard_contracts.outcome import Cause
from modelyard_convert import domain
from modelyard_runtime.subprocesses import SubprocessFailed


async def ends_at_once(module: str, request: Any, **options: Any) -> Any:
    raise SubprocessFailed("failed", "it was not meant to work")


async def waiting(yard: Any, like: str, project: str, identifier: str, job: Any) -> None:
    conversion = replace(await yard.known(like), conversion_id=identifier, project=project)
    await yard.repository.add(domain.created(conversion, job), Cause("c-1"))


async def test_one_conversion_beside_another_projects_crowd(yard: Any) -> None:
    yard.run = ends_at_once
    version = yard.publish()
    crowd = [await yard.create(version=version) for _ in range(5)]
    await waiting(yard, crowd[0], "other", "single", CONVERT_ONNX)
    await waiting(yard, crowd[0], "other", "elsewhere", CONVERT_OPENVINO)
    jobs, states = yard.jobs, []
    for conversion_id in crowd[:2]:
        await jobs.convert(*yard.job(conversion_id))
        single = await yard.repository.get("other", "single")
        states.append(single.state)
    assert "failed" in states
    assert [(await yard.known(each)).state for each in crowd] == ["failed"] * 2 + ["initialising"] * 3
    elsewhere = await yard.repository.get("other", "elsewhere")
    assert elsewhere.state == "initialising", "this worker was given no job of that toolchain"
