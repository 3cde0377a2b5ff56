"""Writes the public API's description: `python -m modelyard_gateway.doors.v1.openapi docs/generated/openapi.json`.

Run by `make generate`; `tests/contract` fails when the file is stale. Nobody imports this at run time.
"""

import json
import sys
from pathlib import Path

from modelyard_gateway.doors.v1.app import door
from modelyard_gateway.settings import GatewaySettings


def document() -> str:
    """OpenAPI 3.1 as JSON text, the same on every machine: no setting of the environment appears in it."""
    return json.dumps(door(GatewaySettings(), None).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), "utf-8")
