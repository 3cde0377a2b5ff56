"""Datasets: what models are measured and calibrated on."""

from pathlib import Path
from typing import Any, Literal

from modelyard.client import Client, Reply, at
from modelyard.references import dataset_id
from modelyard.transfer import Chosen, files_below, nobody_told, upload
from modelyard.transfer.line import Begun, Progress, not_told

Kind = Literal["image-folder", "npz"]


class Datasets:
    """`kind` is one folder per class, or one .npz with arrays x and y; only competitions may use a hidden one.

    Raises Refused, and GatewayUnreachable when nobody answers.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def storage(self, name: str, location: str, *, kind: Kind = "image-folder", hidden: bool = False) -> Reply:
        """Register what lies in a bucket, `s3://bucket/folder/`; it stays there."""
        return self._create(name, kind, hidden, source_location=location)

    def upload(
        self,
        name: str,
        folder: Path | str,
        *,
        kind: Kind = "image-folder",
        hidden: bool = False,
        progress: Progress = lambda _: None,
        begun: Begun = not_told,
        chosen: Chosen = nobody_told,
    ) -> Reply:
        """Register a folder of this machine; `left_out` of the reply lists what was not sent, as `imports.upload` does.

        Raises NotFoundHere, and TaskFailed naming the file that was not taken.
        """
        contents = files_below(Path(folder))
        chosen(contents)
        made = self._create(name, kind, hidden, upload_id=upload(self._client, contents, progress, begun))
        return {**made, **contents.told()}

    def list(self, *, name: str | None = None, limit: int | None = None, offset: int | None = None) -> Reply:
        """`datasets`, `count` and `total_count`."""
        return self._client.get("datasets", name=name, limit=limit, offset=offset)

    def show(self, dataset: str) -> Reply:
        """With its classes."""
        return self._client.get(at("datasets", dataset_id(self._client, dataset)))

    def delete(self, dataset: str) -> Reply:
        """Forget it; its files stay."""
        return self._client.delete(at("datasets", dataset_id(self._client, dataset)))

    def _create(self, name: str, kind: Kind, hidden: bool, **source: Any) -> Reply:
        return self._client.post("datasets", {"name": name, "kind": kind, "hidden": hidden, **source})
