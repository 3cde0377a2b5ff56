"""Picks the document adapter by URL. Called by every service's `bootstrap`."""

from pathlib import Path
from urllib.parse import urlsplit

from modelyard_store.documents import Documents
from modelyard_store.sqlite import SqliteDocuments


def open_documents(url: str) -> Documents:
    """`sqlite:///relative/path`, `sqlite:////absolute/path` or `mongodb://[user:password@]host/database`.

    Nothing is opened before `Documents.open`. Raises ValueError for any other URL, without repeating it: it may hold
    a password.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return SqliteDocuments(Path(rest[1:]))
    if scheme in ("mongodb", "mongodb+srv"):
        database = urlsplit(url).path.strip("/")
        if database:
            from modelyard_store.mongo import MongoDocuments  # 10 MiB and 50-100 ms that SQLite need not pay

            return MongoDocuments(url, database)
    raise ValueError("the document URL must be sqlite:///path or mongodb://host/database")
