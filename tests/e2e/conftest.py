"""One stack for all tests of a run, started as a user starts it; and one main job, run through it once."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("modelyard_testkit.main_job", "modelyard_testkit.yard")

from modelyard_testkit.main_job import MainJob, trained  # noqa: E402 - after the rewriting is asked for
from modelyard_testkit.registry import RegistryDouble, registry_double  # noqa: E402
from modelyard_testkit.yard import Yard, running_yard  # noqa: E402


@pytest.fixture(scope="session")
def registry() -> Iterator[RegistryDouble]:
    """A container registry on loopback, the only one that the stack may ask."""
    with registry_double() as double:
        yield double


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory, registry: RegistryDouble) -> Iterator[Yard]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELYARD_IMPORT_REGISTRIES", registry.host)
        environment.setenv("MODELYARD_AUDIT_GRACE_SECONDS", "1")
        with running_yard(tmp_path_factory.mktemp("yard") / "data") as running:
            yield running


@pytest.fixture(scope="module")
def main_job(yard: Yard) -> Iterator[MainJob]:
    """Everything is prepared and nothing is said yet."""
    job = MainJob(yard, "main", trained().files)
    job.prepare()
    yield job
    job.client.close()
