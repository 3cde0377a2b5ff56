"""The client of a gateway. Replies are plain dictionaries as docs/api.md describes them."""

from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.connection import Connection
from modelyard.gateway import Gateway, Reply, at, reason_of
from modelyard.transfer.line import Begun, Progress, not_told

if TYPE_CHECKING:
    from modelyard.loading import LoadedModel

__all__ = ["Client", "Reply", "at", "reason_of"]


class Client(Gateway):
    """One gateway, one project. Use it as a context manager, or `close` it.

    A version is an id, `name`, `name:1.0.0` or `name@alias` wherever one is taken, an artifact an id or a target, a
    dataset, rule or template an id or a name. Every method raises NotFoundHere when there is none, Refused when the
    gateway says no, and GatewayUnreachable when it does not answer. What has no method of its own is asked for with
    `get`, `post`, `put`, `patch` and `delete`.
    """

    def __init__(self, connection: Connection, timeout: float = 60, retries: int = 2) -> None:
        """`timeout` in seconds, for one answer; `retries` of connecting. Raises ConnectionNotFound when URL or token
        cannot be one."""
        from modelyard import resources  # they find ids by references.py, which knows this class

        super().__init__(connection, timeout, retries)
        self.imports = resources.Imports(self)
        self.models = resources.Models(self)
        self.aliases = resources.Aliases(self)
        self.lineage = resources.Lineage(self)
        self.templates = resources.Templates(self)
        self.conversions = resources.Conversions(self)
        self.datasets = resources.Datasets(self)
        self.evaluations = resources.Evaluations(self)
        self.gallery = resources.Gallery(self)
        self.competitions = resources.Competitions(self)
        self.training = resources.Training(self)
        self.rules = resources.Rules(self)
        self.audits = resources.Audits(self)
        self.dead_letters = resources.DeadLetters(self)
        self.tokens = resources.Tokens(self)
        self.access_keys = resources.AccessKeys(self)
        self.projects = resources.Projects(self)

    def load(
        self,
        model: str,
        *,
        target: str | None = None,
        cache: Path | None = None,
        progress: Progress = lambda _: None,
        begun: Begun = not_told,
    ) -> "LoadedModel":
        """A version in a folder of this machine; what is in the cache already is not fetched again.

        The source, or with `target` (`openvino-fp16`) the newest artifact of that target. `cache` is MODELYARD_CACHE,
        else a folder in the user's cache. Raises TaskFailed when its import failed or a file is not what the manifest
        promises, NotUsable when it is not published yet, Refused when it may not be downloaded.
        """
        from modelyard.loading import load

        return load(self, model, target, cache, progress, begun)
