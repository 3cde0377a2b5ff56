"""Which adapter a URL names."""

from pathlib import Path

import pytest

from modelyard_store import open_documents
from modelyard_store.mongo import MongoDocuments
from modelyard_store.sqlite import SqliteDocuments


def test_sqlite_paths() -> None:
    relative, absolute = open_documents("sqlite:///data/x.db"), open_documents("sqlite:////var/x.db")
    assert isinstance(relative, SqliteDocuments)
    assert isinstance(absolute, SqliteDocuments)
    assert (relative._path, absolute._path) == (Path("data/x.db"), Path("/var/x.db"))


async def test_mongodb_database() -> None:
    documents = open_documents("mongodb://user:secret@host:27017/yard?authSource=admin")
    assert isinstance(documents, MongoDocuments)
    assert documents._database.name == "yard"
    await documents.close()


@pytest.mark.parametrize(
    "url", ["mongodb://:secret@host", "postgres://:secret@host/db", "sqlite:///", "sqlite://secret", ""]
)
def test_other_urls_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(ValueError, match="must be") as refusal:
        open_documents(url)
    assert "secret" not in str(refusal.value)
