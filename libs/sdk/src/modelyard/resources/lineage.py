"""From one thing forward to everything that was made of it."""

from typing import TypedDict, Unpack

from modelyard.client import Client, Reply


class Origin(TypedDict, total=False):
    """Exactly one of them: `job` or `job/V001`; digest, URI or id of a dataset; commit or repository@commit; a name."""

    training_job: str | None
    dataset: str | None
    code: str | None
    model_name: str | None


class Lineage:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def trace(self, **origin: Unpack[Origin]) -> Reply:
        """`nodes` and `edges`."""
        return self._client.get("lineage", **origin)

    def trace_svg(self, **origin: Unpack[Origin]) -> str:
        """The same as a picture."""
        return self._client.text("lineage.svg", **origin)
