"""What import's inspecting subprocess does: a pure function from request to report. The service owns the process."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from modelyard_formats.package.check import PackageReport, check_package


class InspectRequest(BaseModel):
    """`root` is the local folder that holds `model/`."""

    model_config = ConfigDict(extra="forbid")

    root: Path


def inspect_package(request: dict[str, Any]) -> dict[str, Any]:
    """`InspectRequest` in, `PackageReport` out, both as JSON values. A bad package is a report with problems."""
    root = InspectRequest.model_validate(request).root
    return check_package(root).model_dump(mode="json")


def read_report(reply: dict[str, Any]) -> PackageReport:
    """The other side of `inspect_package`."""
    return PackageReport.model_validate(reply)
