"""What public bodies have in common: strictness, `s3://` places, and the rule that one of several is given."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from modelyard_contracts.shapes import Location

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
MOST_FOUND: Final = 101  # of one body; one more than is shown, so that it is said that there are more


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
        found = [
            InitErrorDetails(type=PydanticCustomError(each["type"], each["msg"]), loc=each["loc"], input=None)
            for each in error.errors(include_url=False, include_context=False, include_input=False)[:MOST_FOUND]
        ]
        raise ValidationError.from_exception_data(model.__name__, [*found, *problems]) from None
    if problems:
        raise ValidationError.from_exception_data(model.__name__, problems)
    return made
