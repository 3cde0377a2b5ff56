"""From one thing forward to everything that was made of it."""

from typing import TypedDict, Unpack

from modelyard.gateway import Gateway, Reply


class Origin(TypedDict, total=False):
    """Exactly one of them: `job` or `job/V001`; digest, URI or id of a dataset; commit or repository@commit; a name."""

    training_job: str | None
    dataset: str | None
    code: str | None
    model_name: str | None


class Lineage:
    """Raises Refused, and GatewayUnreachable when nobody answers."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def trace(self, **origin: Unpack[Origin]) -> Reply:
        """`nodes` and `edges`."""
        return self._gateway.get("lineage", **origin)

    def trace_svg(self, **origin: Unpack[Origin]) -> str:
        """The same as a picture."""
        return self._gateway.text("lineage.svg", **origin)
