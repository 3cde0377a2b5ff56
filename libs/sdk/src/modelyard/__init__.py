"""Client of a modelyard gateway. `Client` for scripts, `modelyard` for the command line; nothing else of the yard."""

from modelyard.client import Client as Client
from modelyard.connection import Connection as Connection
from modelyard.connection import find_connection as find_connection
from modelyard.errors import ConnectionNotFound as ConnectionNotFound
from modelyard.errors import GatewayUnreachable as GatewayUnreachable
from modelyard.errors import NotFoundHere as NotFoundHere
from modelyard.errors import NotUsable as NotUsable
from modelyard.errors import Refused as Refused
from modelyard.errors import StorageUnreachable as StorageUnreachable
from modelyard.errors import TaskFailed as TaskFailed
from modelyard.loading import LoadedModel as LoadedModel
from modelyard.notebook import load as load
from modelyard.notebook import save as save
