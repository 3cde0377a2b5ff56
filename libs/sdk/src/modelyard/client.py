"""The client of a gateway. Replies are plain dictionaries as docs/api.md describes them."""

from modelyard.gateway import Gateway, Reply, at, reason_of

__all__ = ["Client", "Reply", "at", "reason_of"]


class Client(Gateway):
    """One gateway, one project. Use it as a context manager, or `close` it.

    Every method raises Refused when the gateway says no, and GatewayUnreachable when it does not answer.
    """
