"""What an operator looks at: dead letters, tokens, projects. `client.events` follows what the services say."""

from http.client import NOT_FOUND
from typing import Literal

from modelyard.client import Client, Reply, at
from modelyard.errors import Refused
from modelyard.references import no_name


class DeadLetters:
    """Messages that no retry could settle. Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, *, limit: int | None = None) -> Reply:
        """Oldest first."""
        return self._client.get("dead-letters", limit=limit)

    def show(self, sequence: int) -> Reply:
        """With its message."""
        return self._client.get(at("dead-letters", sequence))

    def replay(self, sequence: int) -> Reply:
        """Send it again to where it came from."""
        return self._client.post(at("dead-letters", sequence, "replay"), {})

    def drop(self, sequence: int) -> Reply:
        """Forget it for good."""
        return self._client.delete(at("dead-letters", sequence))


class Tokens:
    """Access tokens of the project. Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, name: str, role: Literal["reader", "writer", "publisher", "admin"] | str = "reader") -> Reply:
        """`token` of the answer is the secret; it is shown this once. Each role may do what those before it may."""
        return self._client.post("tokens", {"name": name, "role": role})

    def list(self) -> Reply:
        """Names and roles; never the secrets."""
        return self._client.get("tokens")

    def revoke(self, name: str) -> Reply:
        """It stops working at once."""
        try:
            return self._client.delete(at("tokens", name))
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            raise no_name("token", "tokens", name, (each["name"] for each in self.list()["tokens"])) from refused


class AccessKeys:
    """Pairs of id and secret that sign requests. Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(self, name: str, role: Literal["reader", "writer", "publisher", "admin"] | str = "reader") -> Reply:
        """`access_key_id` and `secret_access_key`, which is shown this once."""
        return self._client.post("access-keys", {"name": name, "role": role})

    def list(self) -> Reply:
        """Names, roles and ids; never the secrets."""
        return self._client.get("access-keys")

    def rotate(self, name: str, *, former_seconds: int = 86_400) -> Reply:
        """A new pair; the former one works for that long."""
        return self._client.post(at("access-keys", name, "rotation"), {"former_seconds": former_seconds})

    def revoke(self, name: str) -> Reply:
        """All its pairs stop working at once."""
        try:
            return self._client.delete(at("access-keys", name))
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            keys = self.list()["access_keys"]
            raise no_name("access key", "access-keys", name, (each["name"] for each in keys)) from refused


class Projects:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self) -> Reply:
        """All of them, by id. Only an admin of the operator's project may."""
        page = self._client.server("projects")
        projects = page["projects"]
        while after := page["next_after"]:
            page = self._client.server("projects", after=after)
            projects += page["projects"]
        return {"projects": projects}

    def create(self, project_id: str) -> Reply:
        """Make one; `token` of the answer is its first admin token. Only an admin of the operator's project may."""
        return self._client.server("projects", {"project_id": project_id})
