"""What the refit child reported, as the changes or the errors of this service. Called by `conversion`. Pure."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from modelyard_contracts.failures import Failure
from modelyard_convert import errors
from modelyard_convert.children.requests import RefitReport, Refused
from modelyard_runtime.subprocesses import SubprocessFailed

_REPORT: TypeAdapter[RefitReport | Refused] = TypeAdapter(RefitReport | Refused)


def refitted(report: dict[str, Any], toolchain: str) -> RefitReport:
    """Raises what the toolchain's program refused, NothingChanged, and SubprocessFailed for something else."""
    try:
        found = _REPORT.validate_python(report)
    except ValidationError:
        raise SubprocessFailed("refused", "its report has the wrong form", 0) from None
    if isinstance(found, Refused):
        raise _error(found, toolchain)
    if found.changed == 0:
        raise errors.NothingChanged("; ".join((found.what, *found.notes)))
    return found


def _error(found: Refused, toolchain: str) -> Failure:
    reason = "; ".join(found.said)
    match found.refused:
        case "UnsupportedOperators":
            return errors.UnsupportedOperators(toolchain, found.said)
        case "NotConvertible":
            return errors.NotConvertible(reason)
        case "BadResult":
            return errors.BadResult(reason)
        case "ToolchainFailed":
            return errors.ToolchainFailed(reason)
