"""Dies as native libraries do. An observer dies in the middle of being timed, when the other one waits for its turn."""

import os
import signal
from collections.abc import Callable
from typing import Any

from modelyard_convert.children.requests import Turns
from modelyard_convert.children.turns import Talk
from modelyard_runtime.subprocess_child import serve


def crash(request: dict[str, Any], log: Callable[[str], None]) -> dict[str, Any]:
    if request.get("turns"):
        turns = Turns.model_validate(request["turns"])
        talk = Talk(turns)
        talk.tell(1) if turns.leads else talk.tell(0)
        talk.hear()
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


if __name__ == "__main__":
    serve(crash)
