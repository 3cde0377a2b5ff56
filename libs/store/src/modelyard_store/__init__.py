"""Documents (MongoDB by Motor, or SQLite) and objects (any S3).

Import from the modules: `documents` (the port and its words), `outbox` and `claims` (what every service does with a
document), `objects`, `manifest` and `keys`. `opening.open_documents` picks the document adapter by URL.
"""

from modelyard_store.opening import open_documents

__all__ = ["open_documents"]
