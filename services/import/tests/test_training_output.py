"""Where a run may say that its model lies: never among versions, some of which nobody may copy."""

from typing import Any, cast

import pytest

from modelyard_contracts.shapes import Location, TrainingRef, TrainingSource
from modelyard_import.domain.imports import Import
from modelyard_import.domain.sources import Places
from modelyard_import.domain.training import TrainingJob
from modelyard_import.errors import SourceRefused
from modelyard_import.fetching.origin import Origin, origin_of
from modelyard_import.repository import Repository


class OneRun:
    def __init__(self, output: Location) -> None:
        self.training_jobs = self
        self._output = output

    async def get(self, project: str, run_id: str) -> TrainingJob:
        training = TrainingRef(job_id="j", job_name="digits", job_version="V001")
        return TrainingJob(run_id, project, "e", "completed", training, self._output, 1, "digits")


async def origin(bucket: str, prefix: str) -> Origin:
    job = Import(
        import_id="i",
        project="p1",
        model_id="m",
        model_name="n",
        model_version="0.0.1",
        source=TrainingSource(training_job_id="run"),
        destination=Location(bucket="artifacts", prefix="p1/models/m/source/"),
        created_at=1,
    )
    run = OneRun(Location(bucket=bucket, prefix=prefix))
    return await origin_of(job, cast(Repository, cast(Any, run)), Places(("artifacts", "training")))


@pytest.mark.parametrize("prefix", ["p1/models/auto/source/1/", "p1/models/auto", "p1/models/", "p1/models", "p1/"])
async def test_a_version_is_no_output_of_a_run(prefix: str) -> None:
    with pytest.raises(SourceRefused, match="where the yard keeps versions"):
        await origin("artifacts", prefix)


@pytest.mark.parametrize(("bucket", "prefix"), [("training", "p1/models/x/"), ("artifacts", "p1/runs/1/")])
async def test_a_folder_of_its_own_is(bucket: str, prefix: str) -> None:
    assert (await origin(bucket, prefix)).parts[0].location == Location(bucket=bucket, prefix=prefix)
