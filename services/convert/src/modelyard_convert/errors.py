"""Why a conversion is refused or fails, with stable codes (docs/errors.md). Raised by handlers and children."""

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind, Problem


class UnknownTarget(Failure):
    def __init__(self, target: str, known: tuple[str, ...]) -> None:
        text = f"there is no conversion target `{target}`; there are {', '.join(known)}"
        super().__init__(
            FailureKind.INVALID, codes.UNKNOWN_TARGET, text, field="order.target", rule="one of the targets"
        )


class BadOptions(Failure):
    def __init__(self, target: str, problems: tuple[Problem, ...]) -> None:
        named = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
        super().__init__(
            FailureKind.INVALID, codes.PARAMETER_INVALID, f"options of {target}: {named}", problems=problems
        )


class NotPublished(Failure):
    def __init__(self, name: str, version: str, status: str) -> None:
        text = f"{name} {version} is {status}; only a published version can be converted"
        super().__init__(FailureKind.CONFLICT, codes.NOT_PUBLISHED, text, field="model_id", rule="published")


class NotConvertible(Failure):
    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.NOT_CONVERTIBLE, message, field="order.target")


class AlreadyQuantised(Failure):
    def __init__(self, operators: tuple[str, ...]) -> None:
        text = f"the model is already quantised (it holds {', '.join(operators)}); int8 needs a floating-point model"
        super().__init__(FailureKind.UNPROCESSABLE, codes.QUANTISED_ALREADY, text, field="order.target")


class UnsupportedOperators(Failure):
    def __init__(self, toolchain: str, operators: tuple[str, ...]) -> None:
        text = f"the {toolchain} toolchain cannot handle these operators of the model: {', '.join(operators)}"
        super().__init__(FailureKind.UNPROCESSABLE, codes.UNSUPPORTED_OPERATORS, text, field="order.target")


class NoWorker(Failure):
    def __init__(self, toolchain: str) -> None:
        text = f"no worker offers `{toolchain}`"
        super().__init__(FailureKind.UNAVAILABLE, codes.NO_WORKER, text, field="order.target")


class ParityFailed(Failure):
    def __init__(self, reason: str) -> None:
        super().__init__(
            FailureKind.UNPROCESSABLE, codes.PARITY_FAILED, f"the result does not compute the same: {reason}"
        )


class NothingChanged(Failure):
    def __init__(self, what: str) -> None:
        text = f"the conversion changed nothing: {what}"
        super().__init__(FailureKind.UNPROCESSABLE, codes.NOTHING_CHANGED, text, field="order.target")


class ToolchainFailed(Failure):
    """The converter stopped: crashed, ran out of time or memory, or said what it could not do."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.TOOLCHAIN_FAILED, message)


class BadResult(Failure):
    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.UNPROCESSABLE, codes.BAD_RESULT, f"the result is not a usable model: {message}")


class CalibrationProblem(Failure):
    def __init__(self, message: str) -> None:
        field = "order.calibration_dataset_id"
        super().__init__(FailureKind.UNPROCESSABLE, codes.BAD_CALIBRATION, message, field=field)


class CalibrationMissing(CalibrationProblem):
    def __init__(self, target: str) -> None:
        super().__init__(
            f"{target} needs calibration data: put preprocessed samples into `calibration_data/*.npy` or `*.npz` "
            "beside `model/` in the package, or name a dataset in order.calibration_dataset_id"
        )


class SourceDamaged(Failure):
    def __init__(self, path: str, found: str) -> None:
        text = f"{path} is not what the version's manifest says: {found}"
        super().__init__(FailureKind.UNPROCESSABLE, codes.SOURCE_DAMAGED, text)


class SourceChanged(Failure):
    """Of a version that is kept by reference."""

    def __init__(self, path: str, place: str) -> None:
        text = f"{path} ({place}) changed since it was imported; import it again, or with a copy"
        problem = Problem(message=text, file=path, rule="the object that was imported")
        super().__init__(FailureKind.UNPROCESSABLE, codes.SOURCE_DAMAGED, text, problems=(problem,))


class SourceTooLarge(Failure):
    def __init__(self, most: int) -> None:
        text = f"the model is larger than the {most} bytes that a conversion may use"
        super().__init__(FailureKind.TOO_LARGE, codes.TOO_LARGE, text, field="model_id", rule=f"at most {most} bytes")


class VersionGone(Failure):
    def __init__(self) -> None:
        super().__init__(FailureKind.CONFLICT, codes.VERSION_GONE, "the version was deleted")


class UnknownConversion(Failure):
    def __init__(self, conversion_id: str) -> None:
        text = f"there is no conversion {conversion_id}"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, text, field="conversion_id")


class NothingKept(Failure):
    def __init__(self, state: str) -> None:
        why = {
            "succeeded": "the result is an artifact of its version",
            "failed": "only what failed its proof is kept, for some days",
        }
        text = f"nothing is kept of it: {why.get(state, f'it is {state}')}"
        super().__init__(FailureKind.NOT_FOUND, codes.NOT_FOUND, text, field="conversion_id")
