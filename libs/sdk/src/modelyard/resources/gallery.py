"""The gallery: what all projects have listed."""

import builtins
from pathlib import Path

from modelyard.client import Client, Reply, at
from modelyard.references import model_id
from modelyard.resources.models import all_links
from modelyard.transfer import download
from modelyard.transfer.line import Begun, Progress, not_told


class Gallery:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def publish(self, model: str, *, title: str | None = None, description: str = "") -> Reply:
        """List a version; `card` of the answer is its model card. `description`: text above that, may be Markdown."""
        body = {"model_id": model_id(self._client, model), "title": title, "description": description}
        return self._client.post("gallery", body)

    def list(self, *, text: str | None = None, limit: int | None = None, offset: int | None = None) -> Reply:
        """Newest first: `listings`, `count` and `total_count`. `text` is a part of the title."""
        return self._client.get("gallery", text=text, limit=limit, offset=offset)

    def show(self, listing_id: str) -> Reply:
        """With its model card."""
        return self._client.get(at("gallery", listing_id))

    def files(self, listing_id: str) -> Reply:
        """Presigned links, of all pages."""
        return all_links(lambda after: self._client.get(at("gallery", listing_id, "files"), after=after))

    def download(
        self, listing_id: str, folder: Path, *, progress: Progress = lambda _: None, begun: Begun = not_told
    ) -> builtins.list[Path]:
        """Fetch a listed model, each file verified. Raises TaskFailed naming the file."""
        return download(self.files(listing_id), folder, progress, begun, lambda: self.files(listing_id))

    def withdraw(self, listing_id: str) -> Reply:
        """Take it out of the gallery."""
        return self._client.delete(at("gallery", listing_id))
