"""Aliases of a name: `champion`, `staging`, … each points at one version and can be moved."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import NOT_FOUND

from modelyard.client import Client, Reply, at
from modelyard.errors import NotFoundHere, Refused
from modelyard.references import no_alias, no_version

_NUMBER = re.compile(r"\d+\.\d+\.\d+")


class Aliases:
    """Raises NotFoundHere, Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, model_name: str) -> Reply:
        return self._client.get(at("model-names", model_name, "aliases"))

    def show(self, model_name: str, alias: str, *, instant: int | None = None) -> Reply:
        """Which version holds it, or held it at `instant` (ms since 1970 UTC)."""
        with self._explained(model_name, alias, instant):
            return self._client.get(at("model-names", model_name, "aliases", alias), at=instant)

    def history(self, model_name: str, alias: str) -> Reply:
        """Every move, newest first: who, when, from where and to where."""
        with self._explained(model_name, alias):
            return self._client.get(at("model-names", model_name, "aliases", alias, "history"))

    def move(self, model_name: str, alias: str, version: str) -> Reply:
        """Atomic: there is no moment at which nobody or two hold it. `version` is N.N.N or any version of that name."""
        number = version if _NUMBER.fullmatch(version) else self._number(model_name, version)
        try:
            return self._client.put(at("model-names", model_name, "aliases", alias), {"model_version": number})
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            raise no_version(self._client, f"{model_name}:{number}", model_name) from refused

    def _number(self, model_name: str, version: str) -> str:
        found = self._client.models.show(version)
        if found["model_name"] != model_name:
            raise NotFoundHere(f"{version!r} is a version of {found['model_name']!r}, not of {model_name!r}")
        return str(found["model_version"])

    def remove(self, model_name: str, alias: str) -> Reply:
        with self._explained(model_name, alias):
            return self._client.delete(at("model-names", model_name, "aliases", alias))

    @contextmanager
    def _explained(self, model_name: str, alias: str, instant: int | None = None) -> Iterator[None]:
        """What is not there is said with what is."""
        try:
            yield
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            held = self.list(model_name)["aliases"]
            if instant is not None and any(each["alias"] == alias for each in held):
                history = f"'modelyard aliases history {model_name} {alias}' says who held it when"
                raise NotFoundHere(f"no version of {model_name!r} was {alias!r} at that time; {history}") from refused
            raise no_alias(self._client, model_name, alias, held) from refused
