"""Client of a modelyard gateway. `Client` for scripts, `modelyard` for the command line; nothing else of the yard."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelyard.connection import Connection as Connection
from modelyard.connection import find_connection as find_connection
from modelyard.errors import ConnectionNotFound as ConnectionNotFound
from modelyard.errors import GatewayUnreachable as GatewayUnreachable
from modelyard.errors import NotFoundHere as NotFoundHere
from modelyard.errors import NotUsable as NotUsable
from modelyard.errors import Refused as Refused
from modelyard.errors import StorageUnreachable as StorageUnreachable
from modelyard.errors import TaskFailed as TaskFailed

if TYPE_CHECKING:
    from modelyard.client import Client as Client
    from modelyard.loading import LoadedModel as LoadedModel
    from modelyard.notebook import load as load
    from modelyard.notebook import save as save

_LATER = {"Client": "client", "LoadedModel": "loading", "load": "notebook", "save": "notebook"}


def __getattr__(name: str) -> Any:
    """HTTP takes longer to import than everything else here: it waits for who needs it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"modelyard.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
