"""Public bodies that differ from the contract behind them (docs/adr/0005); the others are the contract's own."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard_contracts.envelope import Envelope
from modelyard_contracts.shapes import Location, Role, Source, StorageSource, TrainingSource, UploadSource

S3_URI = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.{1,900}$"
PROJECT = r"^[a-z0-9][a-z0-9-]{0,62}$"


class HttpModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


def location_of(uri: str) -> Location:
    """`s3://bucket/some/folder` → bucket and a prefix that ends with `/`."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return Location(bucket=bucket, prefix=prefix if prefix.endswith("/") else prefix + "/")


class ModelRequest(HttpModel):
    """One import: what it shall be called, and exactly one of the three places it comes from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model_name": "digits", "source_location": "s3://training/digits/V001/", "labels": ["demo"]},
                {
                    "model_name": "手写数字",
                    "model_version": "1.0.0",
                    "upload_id": "0197…",
                    "description": "从笔记本上传",
                },
            ]
        }
    )

    model_name: str
    model_version: str | None = None
    source_location: Annotated[str, Field(pattern=S3_URI)] | None = None
    upload_id: str | None = None
    training_job_id: str | None = None
    description: str = ""
    labels: list[str] = []
    model_docs: list[dict[str, str]] = []
    install_type: list[Literal["real-time", "batch", "edge"]] = ["real-time", "batch", "edge"]
    specification: dict[str, float] = {}
    source_type: Literal["auto"] | None = None
    workspace_id: str | None = None
    plan: dict[str, object] = Field(default={}, description="what shall follow by itself: convert, evaluate, publish")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.source_location, self.upload_id, self.training_job_id]
        if sum(value is not None for value in given) != 1:
            raise ValueError("give exactly one of source_location, upload_id and training_job_id")
        return self

    def source(self) -> Source:
        if self.source_location is not None:
            return StorageSource(location=location_of(self.source_location))
        if self.upload_id is not None:
            return UploadSource(upload_id=self.upload_id)
        return TrainingSource(training_job_id=self.training_job_id or "")

    def call_fields(self) -> dict[str, object]:
        fields = self.model_dump(exclude={"source_location", "upload_id", "training_job_id"})
        return {**fields, "source": self.source()}


class DatasetRequest(HttpModel):
    """`image-folder`: one folder per class below the location. `npz`: one file with arrays `x` and `y`."""

    name: str
    kind: Literal["image-folder", "npz"] = "image-folder"
    source_location: Annotated[str, Field(pattern=S3_URI)] | None = None
    upload_id: str | None = None
    hidden: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source_location is None) == (self.upload_id is None):
            raise ValueError("give exactly one of source_location and upload_id")
        return self

    def source(self) -> StorageSource | UploadSource:
        if self.source_location is not None:
            return StorageSource(location=location_of(self.source_location))
        return UploadSource(upload_id=self.upload_id or "")


class TrainingEvent(Envelope):
    """The CloudEvent of docs/training-events.md, sent over HTTP instead of NATS."""


class ProjectRequest(HttpModel):
    project_id: str = Field(pattern=PROJECT)
    title: str = Field(default="", max_length=100)


class TokenRequest(HttpModel):
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    role: Role = Role.READER


class TokenReply(BaseModel):
    """`token` is shown this once and never again."""

    name: str
    project: str
    role: Role
    created_at: int
    created_by: str
    token: str | None = None


class TokenListReply(BaseModel):
    tokens: list[TokenReply]


class AliasRequest(HttpModel):
    model_version: str


class SubmitRequest(HttpModel):
    model_id: str
    artifact_id: str | None = None


class NextVersionRequest(HttpModel):
    artifact_id: str | None = None
    dataset_id: str | None = None


class BulkDeleteRequest(HttpModel):
    conversion_ids: list[str] = Field(min_length=1, max_length=100)


class DeadLetterReply(BaseModel):
    """`payload` is the original message; only when one letter is shown."""

    sequence: int
    subject: str
    consumer: str
    reason: str
    deliveries: int
    time: str
    payload: str | None = None


class DeadLetterList(BaseModel):
    dead_letters: list[DeadLetterReply]
