"""Links to the files of an artifact: of the source, or of a result of conversion."""

from pydantic import Field

from modelyard_contracts.calls.call import Call
from modelyard_contracts.shapes import Shape


class GetFiles(Shape):
    """`artifact_id` None means the source. `after`: the last path already seen, in the order of the answer."""

    model_id: str
    artifact_id: str | None = None
    after: str | None = Field(default=None, max_length=900)
    limit: int = Field(default=1000, ge=1, le=1000)
    link_seconds: int | None = Field(default=None, ge=1, description="how long the links work at most; None: the usual")


class FileLink(Shape):
    path: str
    size: int
    sha256: str
    url: str


class FileLinks(Shape):
    """One page of an artifact's files, by path. `next_after` is None on the last page."""

    model_id: str
    artifact_id: str
    digest: str
    files: tuple[FileLink, ...]
    expires_at: int
    total_count: int | None = None
    next_after: str | None = None


FILES = Call("version", "files", GetFiles, FileLinks)
