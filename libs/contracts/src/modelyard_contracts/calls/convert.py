"""Calls that the convert service answers."""

from typing import Any, Literal

from pydantic import Field

from modelyard_contracts.calls.call import Call, Nothing, Page
from modelyard_contracts.calls.version.files import FileLink
from modelyard_contracts.shapes import ConversionOrder, Shape, Tolerance

ConversionState = Literal["initialising", "running", "succeeded", "failed"]


class CreateConversion(Shape):
    model_id: str
    order: ConversionOrder
    name: str | None = Field(default=None, max_length=64)
    description: str = Field(default="", max_length=100)


class ConversionView(Shape):
    conversion_id: str
    model_id: str
    model_name: str
    model_version: str
    name: str
    description: str
    order: ConversionOrder
    toolchain: str
    origin: Literal["request", "plan"]
    state: ConversionState
    attempt: int
    progress: str | None = Field(description="the step that runs now, in words")
    code: str | None
    reason: str | None
    artifact: dict[str, Any] | None = Field(description="the resulting artifact; parity also when it failed on it")
    kept_until: int | None = Field(default=None, description="a failed result can be fetched until then (ms)")
    created_at: int
    finished_at: int | None


class GetConversion(Shape):
    conversion_id: str


class ListConversions(Page):
    model_id: str | None = None
    state: ConversionState | None = None


class ConversionPage(Shape):
    total_count: int
    count: int
    conversions: tuple[ConversionView, ...]


class DeleteConversions(Shape):
    conversion_ids: tuple[str, ...] = Field(min_length=1, max_length=100)


class DeletedConversions(Shape):
    deleted: tuple[str, ...]
    refused: dict[str, str] = Field(description="conversion id → why it was kept")


class GetLog(Shape):
    conversion_id: str
    offset: int = Field(default=0, ge=0, le=2**53, description="characters already read")


class LogPiece(Shape):
    text: str
    next_offset: int
    complete: bool


class ResultLinks(Shape):
    """The files of a result that failed its proof, to look at: it is no artifact."""

    conversion_id: str
    digest: str
    files: tuple[FileLink, ...]
    expires_at: int


class TargetView(Shape):
    """One row of a toolchain's table."""

    target: str
    toolchain: str
    source_formats: tuple[str, ...]
    result_format: str
    description: str
    options_schema: dict[str, Any]
    default_tolerance: Tolerance
    offered: bool = Field(description="a worker with this toolchain is running now")


class TargetList(Shape):
    targets: tuple[TargetView, ...]


CREATE = Call("convert", "create", CreateConversion, ConversionView)
GET = Call("convert", "get", GetConversion, ConversionView)
LIST = Call("convert", "list", ListConversions, ConversionPage)
DELETE = Call("convert", "delete", DeleteConversions, DeletedConversions)
RESULT = Call("convert", "result", GetConversion, ResultLinks)
LOG = Call("convert", "log", GetLog, LogPiece)
TARGETS = Call("convert", "targets", Nothing, TargetList)


def offers(toolchain: str) -> Call[Nothing, Nothing]:
    """Answered by the workers that have `toolchain`; nobody answering means nobody offers it."""
    return Call("convert", f"offers-{toolchain}", Nothing, Nothing)
