"""Whether bucket and register agree: objects that nobody knows, versions whose objects are gone."""

from collections.abc import Callable

from modelyard.client import Client, Reply, at


class Audits:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def run(self, *, repair: bool = False, on_change: Callable[[Reply], None] = lambda _: None) -> Reply:
        """Start one and wait. With `repair` both are put right. Raises TaskFailed when it could not end."""
        begun = self._client.post("audits", {"repair": repair})
        return self._client.follow(lambda: self.show(begun["audit_id"]), "state", on_change)

    def show(self, audit_id: str) -> Reply:
        return self._client.get(at("audits", audit_id))
