"""What a bootstrap may forget is said when the service is built, not found out by a job that never comes."""

from typing import Any, cast

import pytest

from modelyard_runtime.settings import ServiceSettings
from modelyard_work.ground import Ground

from .conftest import TASKS, Yard


def test_attempts_that_would_never_tell_are_refused(yard: Yard) -> None:
    nothing = cast(Any, None)
    ground = Ground("version", ServiceSettings(), nothing, nothing, nothing, nothing, nothing, telling=())
    with pytest.raises(ValueError, match="tasks is watched and is not among the telling collections"):
        ground.service((TASKS,), watched=(yard.attempts,))
