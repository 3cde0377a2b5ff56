"""One stack of processes for all fault tests. Its supervisor starts again what a test kills."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("modelyard_testkit.main_job", "modelyard_testkit.yard")

from modelyard_testkit.main_job import MainJob, trained  # noqa: E402 - after the rewriting is asked for
from modelyard_testkit.yard import Yard, running_yard  # noqa: E402


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with running_yard(tmp_path_factory.mktemp("yard") / "data", "--processes") as running:
        yield running


@pytest.fixture
def yard(stack: Yard) -> Iterator[Yard]:
    """Ready, whatever the test before did to it."""
    stack.wait_ready()
    yield stack
    stack.wait_ready()


@pytest.fixture
def main_job(yard: Yard, request: pytest.FixtureRequest) -> Iterator[MainJob]:
    """Prepared in a project of its own; nothing is said yet."""
    name = request.node.name.removeprefix("test_").replace("_", "-").replace("[", "-").strip("]")
    job = MainJob(yard, name[:60], trained().files)
    job.prepare()
    yield job
    job.client.close()
