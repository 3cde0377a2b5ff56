"""Aliases of a name: `champion`, `staging`, … each points at one version and can be moved."""

import re

from modelyard.client import Client, Reply, at
from modelyard.errors import NotFoundHere

_NUMBER = re.compile(r"\d+\.\d+\.\d+")


class Aliases:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, model_name: str) -> Reply:
        return self._client.get(at("model-names", model_name, "aliases"))

    def show(self, model_name: str, alias: str, *, instant: int | None = None) -> Reply:
        """Which version holds it, or held it at `instant` (ms since 1970 UTC)."""
        return self._client.get(at("model-names", model_name, "aliases", alias), at=instant)

    def history(self, model_name: str, alias: str) -> Reply:
        """Every move, newest first: who, when, from where and to where."""
        return self._client.get(at("model-names", model_name, "aliases", alias, "history"))

    def move(self, model_name: str, alias: str, version: str) -> Reply:
        """Atomic: there is no moment at which nobody or two hold it. `version` is N.N.N or any version of that name."""
        number = version if _NUMBER.fullmatch(version) else self._number(model_name, version)
        return self._client.put(at("model-names", model_name, "aliases", alias), {"model_version": number})

    def _number(self, model_name: str, version: str) -> str:
        found = self._client.models.show(version)
        if found["model_name"] != model_name:
            raise NotFoundHere(f"{version!r} is a version of {found['model_name']!r}, not of {model_name!r}")
        return str(found["model_version"])

    def remove(self, model_name: str, alias: str) -> Reply:
        return self._client.delete(at("model-names", model_name, "aliases", alias))
