"""What can go wrong for a caller, each with what to do next."""

from typing import Any


class ModelyardError(Exception):
    """Base of everything this package raises on purpose."""


class ConnectionNotFound(ModelyardError):
    """Nobody said where the gateway is."""


class GatewayUnreachable(ModelyardError):
    """No answer from the gateway."""


class TaskFailed(ModelyardError):
    """A long task ended as failed; the message is its reason."""


class NotFoundHere(ModelyardError):
    """A name on the command line that means nothing in this project, or a path that is not there."""


class Refused(ModelyardError):
    """The gateway refused. `code` is stable, `problems` name field and rule."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.code = str(body.get("error_code", f"HTTP {status}"))
        self.problems: list[dict[str, str]] = body.get("problems", [])
        self.correlation_id = body.get("correlation_id")
        super().__init__(str(body.get("error_msg", f"HTTP {status}")))
