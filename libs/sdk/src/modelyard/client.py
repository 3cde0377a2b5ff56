"""The client of a gateway. Replies are plain dictionaries as docs/api.md describes them."""

from modelyard.connection import Connection
from modelyard.gateway import Gateway, Reply, at, reason_of
from modelyard.resources.aliases import Aliases
from modelyard.resources.audits import Audits
from modelyard.resources.imports import Imports
from modelyard.resources.lineage import Lineage
from modelyard.resources.models import Models
from modelyard.resources.templates import Templates
from modelyard.resources.training import Rules, Training

__all__ = ["Client", "Reply", "at", "reason_of"]


class Client(Gateway):
    """One gateway, one project. Use it as a context manager, or `close` it.

    Every method raises Refused when the gateway says no, and GatewayUnreachable when it does not answer. What has no
    method of its own is asked for with `get`, `post`, `put`, `patch` and `delete`.
    """

    def __init__(self, connection: Connection, timeout: float = 60) -> None:
        """`timeout` in seconds, for one answer. Raises ConnectionNotFound when URL or token cannot be one."""
        super().__init__(connection, timeout)
        self.imports = Imports(self)
        self.models = Models(self)
        self.aliases = Aliases(self)
        self.lineage = Lineage(self)
        self.templates = Templates(self)
        self.training = Training(self)
        self.rules = Rules(self)
        self.audits = Audits(self)
