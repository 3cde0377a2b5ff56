"""Everything in one file that an unpickler may be pointed at. Called by `scan.content`.

A file may hold several pickles behind each other, joblib writes array bytes between operations, and what one loader
passes over another one executes: so the file is read as joblib would, and again as plain pickle would.
"""

from modelyard_formats.pickle.reader import Machine, Source, TooMuch, Unreadable
from modelyard_formats.pickle.rules import Audit
from modelyard_formats.scan.search import Part, Search

MAX_PICKLES = 1_000


def scan_pickles(part: Part, search: Search, *, is_pickle: bool) -> None:
    """`is_pickle`: the file is meant to be one, so anything else is refused."""
    try:
        if _read(part, search, arrays=True, is_pickle=is_pickle):
            _read(part, search, arrays=False, is_pickle=False)
    except TooMuch as error:
        message = f"the pickle cannot be checked to its end: {error}"
        search.found("dangerous", "pickle-too-large", message, part.inside)


def _read(part: Part, search: Search, *, arrays: bool, is_pickle: bool) -> bool:
    """Whether joblib's arrays were met. Raises `TooMuch`."""
    part.file.seek(0)
    met = False
    for number in range(MAX_PICKLES):
        if part.file.tell() >= part.size:
            return met
        broken = None
        audit = Audit()
        machine = Machine(Source(part.file, part.size), audit, search.allowance, arrays=arrays)
        meant = is_pickle and number == 0
        try:
            machine.run()
        except Unreadable as error:
            broken = error
        except TooMuch:
            _tell(audit, part, search, only_dangerous=not meant)
            raise
        met |= machine.saw_array
        _tell(audit, part, search, only_dangerous=broken is not None and not meant)
        if broken is not None:
            if meant:
                message = f"the pickle cannot be read: {broken}"
                search.found("dangerous", "pickle-unreadable", message, part.inside)
            return met
    raise TooMuch(f"more than {MAX_PICKLES:,} pickles in one file")


def _tell(audit: Audit, part: Part, search: Search, *, only_dangerous: bool) -> None:
    for severity, rule, message in audit.verdicts(only_dangerous=only_dangerous):
        search.found(severity, rule, message, part.inside)
