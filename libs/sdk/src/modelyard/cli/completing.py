"""What the shell offers for an unfinished word, asked from the gateway: within a second, or nothing."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from modelyard.connection import find_connection

if TYPE_CHECKING:
    from modelyard.client import Client

_PATIENCE = 1.0  # seconds, for connecting and for the answer
_MOST = 200  # versions that are looked at


def models(context: typer.Context, incomplete: str) -> list[str]:
    """Names, and each with its aliases: `digits`, `digits@champion`."""
    name = incomplete.partition("@")[0]

    def read(client: "Client") -> Iterable[str]:
        for row in client.models.list(model_name=name or None, limit=_MOST)["models"]:
            yield row["model_name"]
            yield from (f"{row['model_name']}@{alias}" for alias in row["aliases"])

    return _offered(context, incomplete, read)


def names(context: typer.Context, incomplete: str) -> list[str]:
    """Without aliases."""
    return [name for name in models(context, incomplete) if "@" not in name]


def aliases(context: typer.Context, incomplete: str) -> list[str]:
    """Of the name that stands before it."""
    name = str(context.params.get("name") or "")
    return _offered(context, incomplete, lambda client: (row["alias"] for row in client.aliases.list(name)["aliases"]))


def targets(context: typer.Context, incomplete: str) -> list[str]:
    """Of conversions that can be ordered."""
    return _offered(
        context, incomplete, lambda client: (row["target"] for row in client.conversions.targets()["targets"])
    )


def artifacts(context: typer.Context, incomplete: str) -> list[str]:
    """Targets that the version has which stands before it."""
    before = iter(context.args)  # what stands there before an option that waits for its value
    model = str(context.params.get("model") or next(before, ""))
    return _offered(
        context, incomplete, lambda client: (row["target"] for row in client.models.show(model)["artifacts"])
    )


def datasets(context: typer.Context, incomplete: str) -> list[str]:
    return _offered(context, incomplete, lambda client: (row["name"] for row in client.datasets.list()["datasets"]))


def _offered(context: typer.Context, incomplete: str, read: "Callable[[Client], Iterable[str]]") -> list[str]:
    """Silent whatever happens: a message in the middle of somebody's unfinished line would help nobody."""
    given = context.find_root().params
    try:
        from modelyard.client import Client

        connection = find_connection(given.get("connection"), given.get("project"))
        with Client(connection, timeout=_PATIENCE, retries=0) as client:
            return sorted({found for found in read(client) if found.startswith(incomplete)})
    except Exception:  # noqa: BLE001 - see above
        return []
