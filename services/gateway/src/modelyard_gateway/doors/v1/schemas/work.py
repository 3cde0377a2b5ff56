"""Bodies of the work that follows an import: datasets, evaluations, entries, conversions, training events."""

from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, model_validator

from modelyard_contracts.envelope import Envelope
from modelyard_contracts.shapes import StorageSource, UploadSource
from modelyard_gateway.doors.v1.schemas.rules import Folder, HttpModel, all_at_once, location_of, one_of


class DatasetRequest(HttpModel):
    """`image-folder`: one folder per class below the location. `npz`: one file with arrays `x` and `y`."""

    name: str
    kind: Literal["image-folder", "npz"] = "image-folder"
    source_location: Folder | None = None
    upload_id: str | None = None
    hidden: bool = False

    @model_validator(mode="wrap")
    @classmethod
    def _one_source(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        return all_at_once(cls, given, handler, one_of(given, ("source_location", "upload_id")))

    def source(self) -> StorageSource | UploadSource:
        if self.source_location is not None:
            return StorageSource(location=location_of(self.source_location))
        return UploadSource(upload_id=self.upload_id or "")


class TrainingEvent(Envelope):
    """The CloudEvent of docs/training-events.md, sent over HTTP instead of NATS."""


class SubmitRequest(HttpModel):
    model_id: str
    artifact_id: str | None = None


class NextVersionRequest(HttpModel):
    artifact_id: str | None = None
    dataset_id: str | None = None


class BulkDeleteRequest(HttpModel):
    conversion_ids: list[str] = Field(min_length=1, max_length=100)
