"""What can go wrong for a caller, each with what to do next."""

from typing import Any

Reply = dict[str, Any]


class ModelyardError(Exception):
    """Base of everything this package raises on purpose."""


class ConnectionNotFound(ModelyardError):
    """Nobody said where the gateway is, or what was said makes no sense."""


class GatewayUnreachable(ModelyardError):
    """No answer from the gateway, or from the storage it sent us to."""


class StorageUnreachable(GatewayUnreachable):
    """The gateway answers; the storage that its links name does not."""


class NotFoundHere(ModelyardError):
    """A name on the command line that means nothing in this project, or a path that is not there."""


class NotUsable(ModelyardError):
    """A version that cannot be loaded or run here as it is; the message says what would help."""


class TaskFailed(ModelyardError):
    """A long task or a transfer failed; the message says why. `reply` is the task's last state, if it was a task."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reply = reply
        self.problems: list[Reply] = _problems((reply or {}).get("failure"))


class Refused(ModelyardError):
    """The gateway refused. `code` is stable, `problems` name file, field and rule."""

    def __init__(self, status: int, body: Reply) -> None:
        self.status = status
        self.code = str(body.get("error_code", f"HTTP {status}"))
        self.problems: list[Reply] = _problems(body)
        self.correlation_id = body.get("correlation_id")
        super().__init__(str(body.get("error_msg", f"HTTP {status}")))


def _problems(holder: Any) -> list[Reply]:
    found = holder.get("problems") if isinstance(holder, dict) else None
    return [problem for problem in found if isinstance(problem, dict)] if isinstance(found, list) else []
