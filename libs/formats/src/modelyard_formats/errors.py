"""The refusals that this library raises; codes as in docs/errors.md."""

from collections.abc import Iterable
from itertools import islice

from modelyard_contracts import codes
from modelyard_contracts.failures import Failure, FailureKind, Problem

CONFIG_FILE = "model/config.json"
MAX_PROBLEMS = 50
MAX_TEXT = 300


def bounded(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first problems, their texts cut: names come from the package, and the whole must fit into one message."""
    return tuple(
        Problem(**{name: text and text[:MAX_TEXT] for name, text in problem.model_dump().items()})
        for problem in islice(problems, MAX_PROBLEMS)
    )


class BadSource(Failure):
    """The files are not a model that can be taken in."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        problems = bounded(problems)
        super().__init__(FailureKind.UNPROCESSABLE, codes.BAD_SOURCE, summary(problems), problems=problems)


class BadTensor(Failure):
    """An array does not fit the model's signature."""

    def __init__(self, message: str, *, name: str | None = None, rule: str | None = None) -> None:
        super().__init__(FailureKind.INVALID, codes.PARAMETER_INVALID, message, field=name, rule=rule)


class BadImage(Failure):
    """A file cannot be read as an image."""

    def __init__(self, file: str, message: str, rule: str) -> None:
        problem = Problem(message=message, file=file, rule=rule)
        super().__init__(FailureKind.UNPROCESSABLE, codes.PARAMETER_INVALID, message, problems=(problem,))


def bad_source(message: str, *, file: str, rule: str, field: str | None = None) -> BadSource:
    """`BadSource` with one problem."""
    return BadSource((Problem(message=message, file=file, field=field, rule=rule),))


def summary(problems: tuple[Problem, ...]) -> str:
    """One line for people: the first problem, and how many more there are."""
    more = len(problems) - 1
    return problems[0].message + (f" (and {more} more problem{'s' if more > 1 else ''})" if more else "")


def refusal(problems: tuple[Problem, ...]) -> Failure:
    """The one failure for all of a package's problems. Its code is the first problem's."""
    first = problems[0]
    code = codes.BAD_SOURCE
    if first.file == CONFIG_FILE:
        code = codes.CONFIG_INVALID if first.field else codes.CONFIG_MISSING
    return Failure(FailureKind.UNPROCESSABLE, code, summary(problems), problems=problems)
