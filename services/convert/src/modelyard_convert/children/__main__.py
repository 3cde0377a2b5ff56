"""`python -m modelyard_convert.children`: one request to sample, observe or judge, each in a process of its own.

One module, so that one prepared process can fork for all three; the runtimes are imported after the fork, by the child
that needs one.
"""

from typing import Any

from pydantic import BaseModel

from modelyard_convert.children.judge import judge
from modelyard_convert.children.observe import observe
from modelyard_convert.children.requests import JudgeRequest, ObserveRequest, SampleRequest
from modelyard_convert.children.sample import sample
from modelyard_runtime.subprocess_child import Log, serve


def perform(request: dict[str, Any], log: Log) -> dict[str, Any]:
    return _report(request, log).model_dump(mode="json")


def _report(request: dict[str, Any], log: Log) -> BaseModel:
    match request["do"]:
        case "sample":
            return sample(SampleRequest.model_validate(request), log)
        case "observe":
            return observe(ObserveRequest.model_validate(request), log)
        case _:
            return judge(JudgeRequest.model_validate(request), log)


if __name__ == "__main__":
    serve(perform)
