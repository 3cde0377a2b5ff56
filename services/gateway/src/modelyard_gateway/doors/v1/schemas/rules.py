"""What public bodies have in common: strictness, `s3://` places, and the rule that one of several is given."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Final, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, to_jsonable_python

from modelyard_contracts.shapes import Location
from modelyard_contracts.wording import in_words

Folder = Annotated[
    str,
    Field(
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,899}$",
        description="`s3://bucket/some/folder/`; at most 900 characters after the bucket",
    ),
]
ConfigFile = Annotated[
    str,
    Field(
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,643}/[^/]{1,255}$",
        description="`s3://bucket/some/folder/config.json`",
    ),
]
ModelT = TypeVar("ModelT", bound=BaseModel)
MOST_NAMED: Final = 1_000  # mistakes of one body
MOST_FOUND: Final = 101  # of one body; one more than is shown, so that it is said that there are more


def _as_said(given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """`true` and `"0.5"` are no numbers and 1 is no truth: what was understood has the types of what was said. Raises
    ValidationError."""
    try:
        understood = handler(given)
    except ValidationError as error:
        _not_too_many(error)
        raise
    said = to_jsonable_python(understood, by_alias=True)
    problems = [broken("type", field, text, None) for field, text in islice(_differences(given, said), MOST_FOUND)]
    if problems:
        raise ValidationError.from_exception_data("body", problems)
    return understood


AsSaid = WrapValidator(_as_said)
"""Every JSON body is annotated with it."""


def _not_too_many(error: ValidationError) -> None:
    """Naming thousands of mistakes costs many times what finding them does. Raises ValidationError."""
    if error.error_count() > MOST_NAMED:
        text = f"it breaks {error.error_count():,} rules, too many to name them"
        raise ValidationError.from_exception_data("body", [broken("too many", "body", text, None)]) from None


def _differences(given: Any, said: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(given, dict) and isinstance(said, dict):
        for name in given.keys() & said.keys():
            yield from _differences(given[name], said[name], f"{path}.{name}".lstrip("."))
    elif isinstance(given, list) and isinstance(said, list):
        for number, (one, other) in enumerate(zip(given, said, strict=False)):
            yield from _differences(one, other, f"{path}.{number}".lstrip("."))
    elif (kind := _kind(given)) != (wanted := _kind(said)) and wanted and kind:
        yield path or "body", f"this is {kind}, and {wanted} belongs here"


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else None


class HttpModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


def location_of(uri: str) -> Location:
    """`s3://bucket/some/folder` → bucket and a prefix that ends with `/`."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return Location(bucket=bucket, prefix=prefix if prefix.endswith("/") else prefix + "/")


def one_of(given: Any, names: tuple[str, ...]) -> list[InitErrorDetails]:
    """The broken rule, if not exactly one of the named fields of a raw body or query has a value."""
    if not isinstance(given, Mapping):
        return []  # the model itself says so
    present = [name for name in names if given.get(name) is not None]
    if len(present) == 1:
        return []
    message = f"give exactly one of {', '.join(names[:-1])} and {names[-1]}"
    return [broken("exactly one" if present else "missing", ", ".join(present or names), message, given)]


def broken(rule: str, field: str, message: str, given: Any) -> InitErrorDetails:
    return InitErrorDetails(type=PydanticCustomError(rule, message), loc=(field,), input=given)


def all_at_once(
    model: type[ModelT], given: Any, handler: ModelWrapValidatorHandler[ModelT], problems: list[InitErrorDetails]
) -> ModelT:
    """What the fields' own rules find and `problems`, in one refusal. Raises ValidationError."""
    try:
        made = handler(given)
    except ValidationError as error:
        _not_too_many(error)
        found = [
            InitErrorDetails(type=PydanticCustomError(each["type"], in_words(each)), loc=each["loc"], input=None)
            for each in error.errors(include_url=False)[:MOST_FOUND]
        ]
        raise ValidationError.from_exception_data(model.__name__, [*found, *problems]) from None
    if problems:
        raise ValidationError.from_exception_data(model.__name__, problems)
    return made
