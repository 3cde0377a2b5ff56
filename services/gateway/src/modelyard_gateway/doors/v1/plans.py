"""What a plan asks for, looked at while somebody is there to read the answer. Called by routes that keep plans."""

from modelyard_contracts.calls import convert
from modelyard_contracts.calls.call import Nothing
from modelyard_contracts.failures import Failure, FailureKind, Problem
from modelyard_contracts.shapes import Plan
from modelyard_gateway.caller import Caller
from modelyard_gateway.doors.v1.replies import invalid


async def check_targets(caller: Caller, plan: Plan) -> None:
    """Raises Failure for a target that no conversion has. While nobody can be asked every one may be right: the version
    says so later."""
    if not plan.convert:
        return
    try:
        found = await caller.ask(convert.TARGETS, Nothing())
    except Failure as failure:
        if failure.kind is FailureKind.UNAVAILABLE:
            return
        raise
    known = {target.target for target in found.targets}
    message = f"no such target; there are {', '.join(sorted(known))}"
    if problems := tuple(
        Problem(message=message, field=f"plan.convert.{place}.target", rule="a target of conversions")
        for place, order in enumerate(plan.convert)
        if order.target not in known
    ):
        raise invalid(problems)
