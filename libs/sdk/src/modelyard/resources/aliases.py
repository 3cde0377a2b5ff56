"""Aliases of a name: `champion`, `staging`, … each points at one version and can be moved."""

from modelyard.gateway import Gateway, Reply, at


class Aliases:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def list(self, model_name: str) -> Reply:
        return self._gateway.get(at("model-names", model_name, "aliases"))

    def show(self, model_name: str, alias: str, *, instant: int | None = None) -> Reply:
        """Which version holds it, or held it at `instant` (ms since 1970 UTC)."""
        return self._gateway.get(at("model-names", model_name, "aliases", alias), at=instant)

    def history(self, model_name: str, alias: str) -> Reply:
        """Every move, newest first: who, when, from where and to where."""
        return self._gateway.get(at("model-names", model_name, "aliases", alias, "history"))

    def move(self, model_name: str, alias: str, model_version: str) -> Reply:
        """Atomic: there is no moment at which nobody or two hold it."""
        return self._gateway.put(at("model-names", model_name, "aliases", alias), {"model_version": model_version})

    def remove(self, model_name: str, alias: str) -> Reply:
        return self._gateway.delete(at("model-names", model_name, "aliases", alias))
