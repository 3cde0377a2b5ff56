"""The gallery: what all projects have listed."""

import builtins
from pathlib import Path

from modelyard.client import Client, Reply, at
from modelyard.references import listing_id, model_id
from modelyard.resources.models import all_links
from modelyard.transfer import download
from modelyard.transfer.line import Begun, Progress, not_told


class Gallery:
    """A listing is named by its id, or by a title that no other one has. Raises NotFoundHere, Refused, and
    GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def publish(self, model: str, *, title: str | None = None, description: str = "") -> Reply:
        """List a version; `card` of the answer is its model card. `description`: text above that, may be Markdown."""
        body = {"model_id": model_id(self._client, model), "title": title, "description": description}
        return self._client.post("gallery", body)

    def list(self, *, text: str | None = None, limit: int | None = None, offset: int | None = None) -> Reply:
        """Newest first: `listings`, `count` and `total_count`. `text` is a part of the title."""
        return self._client.get("gallery", text=text, limit=limit, offset=offset)

    def show(self, listing: str) -> Reply:
        """With its model card."""
        return self._client.get(at("gallery", listing_id(self._client, listing)))

    def files(self, listing: str) -> Reply:
        """Presigned links, of all pages."""
        path = at("gallery", listing_id(self._client, listing), "files")
        return all_links(lambda after: self._client.get(path, after=after))

    def download(
        self, listing: str, folder: Path | str, *, progress: Progress = lambda _: None, begun: Begun = not_told
    ) -> builtins.list[Path]:
        """Fetch a listed model, each file verified. Raises TaskFailed naming the file."""
        chosen = listing_id(self._client, listing)
        return download(self.files(chosen), Path(folder), progress, begun, lambda: self.files(chosen))

    def withdraw(self, listing: str) -> Reply:
        """Take it out of the gallery."""
        return self._client.delete(at("gallery", listing_id(self._client, listing)))
