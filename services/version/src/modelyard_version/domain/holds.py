"""What keeps a version from being deleted, in words. A gallery listing does not: it is withdrawn with the version."""

from datetime import UTC, datetime

from modelyard_version.domain.versions import Entry, Version


def in_use(version: Version, now: int) -> tuple[str, ...]:
    """Empty when it may be deleted. `now` in ms decides which competitions are still open."""
    return (
        *(f"held by alias {mark.alias!r}" for mark in version.marks),
        *(work.words for work in version.work),
        *dict.fromkeys(_entry_words(entry) for entry in version.entries if _holds(entry, now)),  # several in one
    )


def _holds(entry: Entry, now: int) -> bool:
    if entry.state == "rejected":
        return False
    return entry.state == "submitted" if entry.deadline is None else now < entry.deadline


def _entry_words(entry: Entry) -> str:
    called = repr(entry.title) if entry.title else entry.competition_id
    if entry.deadline is None:
        return f"entered in competition {called}"
    until = datetime.fromtimestamp(entry.deadline / 1000, UTC)
    return f"entered in competition {called}, open until {until:%Y-%m-%d %H:%M} UTC"
