"""Versions: the register itself."""

import builtins
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from modelyard.client import Client, Reply, at
from modelyard.connection import Connection, connection_in
from modelyard.errors import NotFoundHere, NotUsable
from modelyard.references import archived_id, artifact_id, model_id
from modelyard.resources.imports import Details
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


def _client_of(to: Client | Connection | Path | str) -> AbstractContextManager[Client]:
    """A client that is given stays open."""
    if isinstance(to, Client):
        return nullcontext(to)
    return Client(to if isinstance(to, Connection) else connection_in(Path(to)))


class Filters(TypedDict, total=False):
    """Which versions a list holds; what is None does not count."""

    model_name: str | None
    exact_match: bool
    model_version: str | None
    model_status: Literal["publishing", "published", "failed"] | None
    model_type: str | None
    not_model_type: str | None
    description: str | None
    label: str | Sequence[str] | None
    workspace_id: str | None
    archived: bool | None
    where: str | None
    sort_by: str
    order: Literal["asc", "desc"]
    limit: int


class Models:
    """Every method takes a version: an id, `name`, `name:1.0.0` or `name@alias`.

    Raises NotFoundHere, Refused, and GatewayUnreachable when nobody answers.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, cursor: str | None = None, offset: int | None = None, **filters: Unpack[Filters]) -> Reply:
        """One page: `models`, `count`, `total_count` and `next_cursor`, which is None on the last page."""
        return self._client.get("models", cursor=cursor, offset=offset, **filters)

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

    def show(self, model: str) -> Reply:
        return self._client.get(self._at(model))

    def update(self, model: str, *, revision: int | None = None, **changes: Any) -> Reply:
        """`description`, `labels`, `tags`, `model_docs`: what is not named stays; a list or `tags` replace the whole.

        With `revision`, that of the version as it was read, only if it has not changed since: else Refused (412).
        """
        return self._client.patch(self._at(model), changes, revision=revision)

    def delete(self, model: str, *, cascade: bool = False, purge: bool = False, revision: int | None = None) -> Reply:
        """`delete_success_list` and `delete_failed_list`, which says what keeps each of them.

        What was published can be restored until `expires_at`, unless it is to `purge`. With `cascade` every version of
        the name goes, the named one first. With `revision` only if it has not changed since: else Refused.
        """
        first = archived_id(self._client, model) if purge else None
        named = first or model_id(self._client, model)
        name = self.show(named)["model_name"] if cascade else None
        report = self._deleted(named, cascade, purge, revision)
        gone, kept = report["delete_success_list"], report["delete_failed_list"]
        while report.get("more") and report["delete_success_list"]:
            held = {each["model_id"] for each in kept}
            rest = self.every(model_name=name, exact_match=True, limit=1000)
            following = next((each["model_id"] for each in rest if each["model_id"] not in held), None)
            if following is None:
                break
            report = self._deleted(following, cascade, purge, None)
            gone, kept = gone + report["delete_success_list"], report["delete_failed_list"]
        return {**report, "delete_success_list": gone, "delete_failed_list": kept}

    def _deleted(self, identifier: str, cascade: bool, purge: bool, revision: int | None) -> Reply:
        path = at("models", identifier)
        return self._client.delete(path, revision=revision, cascade=cascade or None, purge=purge or None)

    def deletion(self, model: str, *, cascade: bool = False, purge: bool = False) -> Reply:
        """What a delete would do now; nothing is deleted."""
        return self._client.get(self._at(model, "deletion"), cascade=cascade or None, purge=purge or None)

    def archive(self, model: str) -> Reply:
        """Out of use with everything it has: not listed, not found, nothing can be made of it."""
        return self._client.post(self._at(model, "archive"), {})

    def restore(self, model: str) -> Reply:
        """Back from the archive, or from a deletion while it waits. `model` is an id or `name:1.0.0`."""
        identifier = archived_id(self._client, model)
        if identifier is None:
            raise NotFoundHere(f"no archived model {model!r}; see 'modelyard models list --archived'")
        return self._client.post(at("models", identifier, "restore"), {})

    def copy(self, model: str, name: str, **details: Unpack[Details]) -> Reply:
        """Under another name of this project, with artifacts, proofs and evaluations. `client.imports.wait` follows it.

        What `details` leave out is the original's.
        """
        return self.promote(model, self._client, name=name, **details)

    def promote(
        self, model: str, to: Client | Connection | Path | str, *, name: str | None = None, **details: Unpack[Details]
    ) -> Reply:
        """To another project of the same yard, with artifacts, proofs and evaluations. `to`: a client or connection of
        that project, or its connection.json. `imports.wait` of such a client follows it.

        Without `name` it keeps its own; what `details` leave out is the original's. Raises NotUsable when `to` is
        another yard, ConnectionNotFound.
        """
        found = self.show(model)
        source = self._client.connection
        given = {field: value for field, value in details.items() if value is not None}
        promotion = {"project": source.project, "model_id": found["model_id"]}
        with _client_of(to) as target:
            if target.connection.url.rstrip("/") != source.url.rstrip("/"):  # whose token is a secret of this one
                raise NotUsable(
                    f"{target.connection.url} is not the gateway {source.url}: a version is promoted within one yard; "
                    "between two, download it and import it"
                )
            body = {"model_name": name or found["model_name"], **given, "promotion": promotion}
            other = target.connection.project != source.project
            return target.post("models", body, source_token=source.token if other else None)

    def history(self, model: str, *, after: int = 0) -> Iterator[Reply]:
        """Every change, oldest first, from the record behind number `after` on; also of a deleted version."""
        path = self._at(model, "history")
        while records := self._client.get(path, after=after)["records"]:
            yield from records
            after = records[-1]["seq"]

    def verify_history(self, model: str) -> Reply:
        """`intact`, or the first record that is missing or was changed: `broken_at` and `reason`."""
        return self._client.get(self._at(model, "history", "verification"))

    def compare(self, models: Sequence[str]) -> Reply:
        """2 to 20 versions with the first: metrics, signature changes, parameters, operators, dataset and code."""
        return self._client.get("models/compare", model_id=[model_id(self._client, model) for model in models])

    def lineage(self, model: str) -> Reply:
        """`nodes` and `edges`: where it comes from and what was made of it."""
        return self._client.get(self._at(model, "lineage"))

    def lineage_svg(self, model: str) -> str:
        """The same as a picture."""
        return self._client.text(self._at(model, "lineage.svg"))

    def verify(self, model: str, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """Every file is read again and compared with its manifest; waits. Raises TaskFailed when that could not end."""
        begun = self._client.post(self._at(model, "verifications"), {})
        path = at("models", "verifications", begun["verification_id"])
        return self._client.follow(lambda: self._client.get(path), "state", on_change)

    def files(self, model: str, artifact: str | None = None) -> Reply:
        """Presigned links of one artifact's files, of all pages; the source when no artifact is named."""
        return self._links(*self._chosen(model, artifact))

    def download(
        self,
        model: str,
        folder: Path | str,
        *,
        artifact: str | None = None,
        progress: Progress = lambda _: None,
        begun: Begun = not_told,
    ) -> builtins.list[Path]:
        """Fetch an artifact's files, each verified; what an earlier call has brought is not fetched again.

        Raises TaskFailed naming the file, and GatewayUnreachable.
        """
        chosen = self._chosen(model, artifact)  # once: an alias may move before the links have to be renewed
        return download(self._links(*chosen), Path(folder), progress, begun, lambda: self._links(*chosen))

    def _chosen(self, model: str, artifact: str | None) -> tuple[str, str | None]:
        identifier = model_id(self._client, model)
        return identifier, artifact_id(self.show(identifier), artifact) if artifact else None

    def _links(self, model: str, artifact: str | None) -> Reply:
        path = at("models", model, "files")
        return all_links(lambda after: self._client.get(path, artifact_id=artifact, after=after))

    def _at(self, model: str, *segments: str) -> str:
        return at("models", model_id(self._client, model), *segments)
