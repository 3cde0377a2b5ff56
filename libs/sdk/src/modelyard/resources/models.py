"""Versions: the register itself."""

import builtins
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from modelyard.gateway import Gateway, Reply, at
from modelyard.transfer import download
from modelyard.transfer.line import Begun, Progress, not_told


def all_links(page: Callable[[str | None], Reply]) -> Reply:
    """A `…/files` reply with the files of all its pages; `page` is asked with the last path that was seen."""
    reply = page(None)
    files, after = list(reply["files"]), reply.get("next_after")
    while after is not None:
        further = page(after)
        files, after = files + further["files"], further.get("next_after")
    return {**reply, "files": files, "next_after": None}


class Filters(TypedDict, total=False):
    """Which versions a list holds; what is None does not count."""

    model_name: str | None
    exact_match: bool
    model_version: str | None
    model_status: Literal["publishing", "published", "failed"] | None
    model_type: str | None
    not_model_type: str | None
    description: str | None
    label: str | None
    workspace_id: str | None
    sort_by: Literal["create_at", "model_version", "model_size"]
    order: Literal["asc", "desc"]
    limit: int


class Models:
    """Every method takes a version's id, raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def list(self, *, cursor: str | None = None, offset: int | None = None, **filters: Unpack[Filters]) -> Reply:
        """One page: `models`, `count`, `total_count` and `next_cursor`, which is None on the last page."""
        return self._gateway.get("models", cursor=cursor, offset=offset, **filters)

    def pages(self, **filters: Unpack[Filters]) -> Iterator[Reply]:
        """Page after page by cursor: every one costs the same, however many came before."""
        page = self.list(**filters)
        yield page
        while cursor := page.get("next_cursor"):
            page = self.list(cursor=cursor, **filters)
            yield page

    def every(self, **filters: Unpack[Filters]) -> Iterator[Reply]:
        """Each version of all pages."""
        for page in self.pages(**filters):
            yield from page["models"]

    def show(self, model_id: str) -> Reply:
        return self._gateway.get(at("models", model_id))

    def update(self, model_id: str, **changes: Any) -> Reply:
        """`description`, `labels`, `model_docs`: what is not named stays, a list replaces the whole list."""
        return self._gateway.patch(at("models", model_id), changes)

    def delete(self, model_id: str, *, cascade: bool = False) -> Reply:
        """`delete_success_list` and `delete_failed_list`, which says what keeps each of them."""
        return self._gateway.delete(at("models", model_id), cascade=cascade)

    def deletion(self, model_id: str, *, cascade: bool = False) -> Reply:
        """What a delete would do now; nothing is deleted."""
        return self._gateway.get(at("models", model_id, "deletion"), cascade=cascade)

    def history(self, model_id: str, *, after: int = 0) -> Iterator[Reply]:
        """Every change, oldest first, from the record behind number `after` on; also of a deleted version."""
        while records := self._gateway.get(at("models", model_id, "history"), after=after)["records"]:
            yield from records
            after = records[-1]["seq"]

    def verify_history(self, model_id: str) -> Reply:
        """`intact`, or the first record that is missing or was changed: `broken_at` and `reason`."""
        return self._gateway.get(at("models", model_id, "history", "verification"))

    def compare(self, model_ids: Sequence[str]) -> Reply:
        """2 to 20 versions with the first: metrics, signature changes, parameters, operators, dataset and code."""
        return self._gateway.get("models/compare", model_id=builtins.list(model_ids))

    def lineage(self, model_id: str) -> Reply:
        """`nodes` and `edges`: where it comes from and what was made of it."""
        return self._gateway.get(at("models", model_id, "lineage"))

    def lineage_svg(self, model_id: str) -> str:
        """The same as a picture."""
        return self._gateway.text(at("models", model_id, "lineage.svg"))

    def verify(self, model_id: str, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """Every file is read again and compared with its manifest; waits. Raises TaskFailed when that could not end."""
        begun = self._gateway.post(at("models", model_id, "verifications"), {})
        path = at("models", "verifications", begun["verification_id"])
        return self._gateway.follow(lambda: self._gateway.get(path), "state", on_change)

    def files(self, model_id: str, artifact_id: str | None = None) -> Reply:
        """Presigned links of one artifact's files, of all pages; the source when no artifact is named."""
        path = at("models", model_id, "files")
        return all_links(lambda after: self._gateway.get(path, artifact_id=artifact_id, after=after))

    def download(
        self,
        model_id: str,
        folder: Path,
        *,
        artifact_id: str | None = None,
        progress: Progress = lambda _: None,
        begun: Begun = not_told,
    ) -> builtins.list[Path]:
        """Fetch an artifact's files, each verified; what an earlier call has brought is not fetched again.

        Raises TaskFailed naming the file, and GatewayUnreachable.
        """
        links = self.files(model_id, artifact_id)
        return download(links, folder, progress, begun, lambda: self.files(model_id, artifact_id))
