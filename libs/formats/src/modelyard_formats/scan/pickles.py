"""Everything in one file that an unpickler may be pointed at. Called by `scan.content`.

A file may hold several pickles behind each other, joblib writes array bytes between operations, and what one loader
passes over another one executes: so the file is read as joblib would, and again as plain pickle would. What stands
behind the last one is searched for pickles that begin later.
"""

from modelyard_formats.pickle.reader import Machine, Source, TooMuch, Torn, Unreadable
from modelyard_formats.pickle.rules import Audit, Severity
from modelyard_formats.pickle.search import beginnings
from modelyard_formats.scan.search import Part, Search

MAX_PICKLES = 1_000
_NO_CHANCE = 3  # as many operations from PROTO on are no chance
_NO_CHANCE_EITHER = 3  # from anywhere, that fit what is on the stack and call or change what others made


def scan_pickles(part: Part, search: Search, *, is_pickle: bool) -> None:
    """`is_pickle`: the file is meant to be one, so anything else is refused."""
    try:
        names = _read(part, search, is_pickle=is_pickle)
        if names is not None:
            _read_as_plain(part, search, names)
    except TooMuch as error:
        message = f"the pickle cannot be checked to its end: {error}"
        search.found("dangerous", "pickle-too-large", message, part.inside)


def _read(part: Part, search: Search, *, is_pickle: bool) -> frozenset[str] | None:
    """As joblib. The names that it imports, if arrays were met. Raises `TooMuch`."""
    source, met, names = Source(part.file, part.size), False, frozenset[str]()
    for number in range(MAX_PICKLES):
        begin = source.offset
        if begin >= part.size:
            return names if met else None
        meant = is_pickle and number == 0
        machine, broken, known = _run(source, part, search, meant=meant, arrays=True)
        met, names = met or machine.saw_array, names | known
        if broken:
            if number or (not meant and _is_sure(machine)):
                _search(part, search, begin + 1)
            return names if met else None
    raise TooMuch(f"more than {MAX_PICKLES:,} pickles in one file")


def _read_as_plain(part: Part, search: Search, names: frozenset[str]) -> None:
    source = Source(part.file, part.size)
    for _ in range(MAX_PICKLES):
        if (
            source.offset >= part.size
            or _run(source, part, search, meant=False, arrays=False, again=True, names=names)[1]
        ):
            return
    raise TooMuch(f"more than {MAX_PICKLES:,} pickles in one file")


def _search(part: Part, search: Search, begin: int) -> None:
    """Of what begins anywhere, only what is plainly dangerous counts: it may be chance."""
    behind = begin
    for offset in beginnings(part.file, begin, part.size, search.allowance):
        if offset >= behind:
            source = Source(part.file, part.size, offset)
            broken = _run(source, part, search, meant=False, arrays=False, again=True)[1]
            behind = offset if broken else source.offset


def _run(
    source: Source,
    part: Part,
    search: Search,
    *,
    meant: bool,
    arrays: bool,
    again: bool = False,
    names: frozenset[str] = frozenset(),
) -> tuple[Machine, bool, frozenset[str]]:
    """One pickle, whether it breaks off, and the harmless names in it. Where bytes are read `again`, breaking off is no
    surprise; `names` are those of the first reading. Raises `TooMuch`."""
    audit, broken, sure = Audit(search.allowance), None, meant
    machine = Machine(source, audit, search.allowance, arrays=arrays)
    try:
        machine.run()
    except Unreadable as error:
        broken = error
    except TooMuch:
        _tell(audit, part, search, only_dangerous=not meant)
        raise
    sure = meant or (not again and _is_sure(machine))
    known = audit.known_names()
    if machine.confused:
        audit.forget(names)
    # Read as plain pickle, what stands before an array was told the first time; behind it may be numbers.
    read = machine.behind_array if again and machine.saw_array else machine.operations
    doubtful = again or (broken is not None and not sure)
    _tell(audit, part, search, only_dangerous=doubtful, chance=read < _NO_CHANCE_EITHER)
    if broken is not None and not again:
        _tell_broken(broken, machine, part, search, meant=meant)
    return machine, broken is not None, known


def _is_sure(machine: Machine) -> bool:
    return machine.saw_protocol and machine.operations >= _NO_CHANCE


def _tell_broken(broken: Unreadable, machine: Machine, part: Part, search: Search, *, meant: bool) -> None:
    severity: Severity = "suspicious"
    if meant or isinstance(broken, Torn) or (_is_sure(machine) and machine.saw_import):
        severity = "dangerous"
    elif not _is_sure(machine) and not machine.saw_name:
        return
    rule = "pickle-frame" if isinstance(broken, Torn) else "pickle-unreadable"
    search.found(severity, rule, f"the pickle cannot be read: {broken}", part.inside)


def _tell(audit: Audit, part: Part, search: Search, *, only_dangerous: bool, chance: bool = True) -> None:
    for severity, rule, message in audit.verdicts(only_dangerous=only_dangerous, chance=chance):
        search.found(severity, rule, message, part.inside)
