"""Which imports and calls of a pickle are harmless, odd, or an attack. Called by `scan.pickles`.

A list of forbidden names never ends: the maintained one in picklescan had to grow in nearly every release. So
three rules stand around it: what these formats are known to need is allowed by name and by its arguments; of the
standard library, of pickle tools and of the libraries that a model server has installed nothing else is, called or not.
What remains, a class or function of somebody's own, is recorded.
"""

import io
import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import version
from typing import Literal, NamedTuple

from modelyard_formats.pickle import calls, changes
from modelyard_formats.pickle.allowed import is_recorded
from modelyard_formats.pickle.arrays import DTYPE
from modelyard_formats.pickle.libraries import OWN, STANDARD, TOOLS, is_folder, is_installed, is_standard
from modelyard_formats.pickle.quiet import parts_of
from modelyard_formats.pickle.reader import Allowance, Change, TooMuch
from modelyard_formats.pickle.values import Global, Left, Made, Persistent, as_today

Severity = Literal["info", "suspicious", "dangerous"]
MAX_NAMES = 10_000
_SHOWN = 8
_PARTS_AN_OPERATION = 2  # looked at in about the time of one
# Names that libraries are known by inside of others, where a path may pass.
_KNOWN_AS = frozenset({"np", "pd", "sp", "plt", "tf", "tv", "nn"})


class Verdict(NamedTuple):
    severity: Severity
    rule: str
    message: str


class Audit:
    """Collects what the pickles of one file would do; `verdicts` judges it."""

    def __init__(self, allowance: Allowance | None = None) -> None:
        self._allowance = allowance or Allowance()
        self._imported: set[Global] = set()
        self._misused: set[Global] = set()
        self._computed: set[str] = set()
        self._changed: set[str] = set()
        self._run: set[str] = set()

    def imports(self, what: Global) -> None:
        if len(self._imported) >= MAX_NAMES:
            raise TooMuch(f"more than {MAX_NAMES:,} different imports")
        self._imported.add(what)

    def imports_unknown(self, module: object, name: object) -> None:
        known = next((part for part in (module, name) if isinstance(part, str)), "")
        told = f"an import by a name that is no short text {known[:40]}".strip()
        long = all(isinstance(part, str | Left) for part in (module, name))  # texts: no chance
        (self._run if long else self._computed).add(told)

    def keeps(self, what: Global) -> None:
        if not changes.may_be_kept(what):
            self._misused.add(what)

    def calls(self, by: object, args: object, *, new: bool) -> None:
        self._weigh(args)
        if not isinstance(by, Global):
            if not _recognised(lambda: calls.makes_zone(by, args)):
                self._computed.add(_shown(by))
        elif not _recognised(lambda: calls.may_call(by, args, new=new)):
            if isinstance(args, Made):
                self._computed.add(f"arguments of {by}")
            else:
                self._misused.add(by)

    def changes(self, target: object, how: Change, value: object) -> None:
        if isinstance(target, Global | Persistent):
            self._changed.add(_shown(target))
        elif isinstance(target, Made):
            self._weigh(value if calls.looks_inside(target.kind) or target.by == DTYPE else None)
            self._allowance.spend(len(value) // _PARTS_AN_OPERATION if isinstance(value, dict) else 0)
            reason = _ODD
            with suppress(*_STUMBLES):
                reason = _bad_change(target, how, value)
            if reason and calls.runs_its_state(target.kind):
                self._run.add(f"{_shown(target)}: {reason}")
            elif reason:
                self._changed.add(f"{_shown(target)}: {reason}")

    def _weigh(self, value: object) -> None:
        """What is looked at again and again is paid for each time."""
        if value:
            self._allowance.spend(sum(1 for _ in parts_of(value)) // _PARTS_AN_OPERATION)

    def persists(self, key: object) -> None:
        if not _recognised(lambda: not changes.bad_key(key)):
            self._computed.add("the type of something kept beside it")

    def known_names(self) -> frozenset[str]:
        """Of what is imported and harmless."""
        return frozenset(what.name for what in self._imported if is_allowed(what))

    def unknown_names(self) -> frozenset[Global]:
        """What else is imported."""
        return frozenset(what for what in self._imported if not is_allowed(what))

    def forget(self, names: frozenset[str]) -> None:
        """Imports of such a name: where a pickle within a pickle is read on with what the outer one has kept, its own
        names are looked for in whatever the outer one was about."""
        self._imported = {what for what in self._imported if is_allowed(what) or what.name not in names}

    def verdicts(self, *, only_dangerous: bool = False, chance: bool = True) -> list[Verdict]:
        """At most one of each rule. `only_dangerous` where odd names may be chance: in bytes that may be no pickle.
        `chance`: what is called and changed there may be too."""
        doubted = only_dangerous and chance
        odd = {what for what in self._imported if not is_allowed(what)}
        dangerous = {what for what in odd if is_attack(what)} | _listed(odd)
        found = []
        if dangerous or self._misused:
            message = f"loading it runs {_some(dangerous | self._misused)}; save the model without it"
            found.append(Verdict("dangerous", "pickle-code", message))
        if self._computed and not doubted:
            message = f"loading it calls or imports what only loading makes ({_some(self._computed)})"
            found.append(Verdict("dangerous", "pickle-computed-call", message))
        if changed := self._run | (set() if doubted else self._changed):
            message = f"loading it changes {_some(changed)}"
            found.append(Verdict("dangerous", "pickle-changes-import", message))
        if (rest := odd - dangerous) and not only_dangerous:
            message = f"loading it imports {_some(rest)}, not known to be harmless"
            found.append(Verdict("suspicious", "pickle-unknown-import", message))
        return found


_ODD = "to something that no model holds"
_STUMBLES = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError)
"""A rule that stumbles over an argument has not recognised it. The reader would take that for a pickle that breaks off,
where a loader goes on."""


def _recognised(rule: Callable[[], bool]) -> bool:
    with suppress(*_STUMBLES):
        return rule()
    return False


def _bad_change(target: Made, how: Change, value: object) -> str:
    if how == "items":
        return "" if changes.takes_items(target) else "something is appended to it"
    if how == "entries":
        if not changes.takes_entries(target):
            return "entries of it are set"
        return calls.bad_state(value, target.kind) if changes.shows_entries(target) else ""
    if target.built:
        return "it is changed twice"
    if target.by == Global("builtins", "getattr"):
        return "a method gets a state"
    return calls.bad_state(value, target.kind) or changes.bad_dtype(target, value)


def is_allowed(what: Global) -> bool:
    """`what` as the pickle names it."""
    return calls.is_allowed(as_today(what))


def is_attack(what: Global) -> bool:
    """Of a name that is not allowed: whether it is within reach wherever a model is loaded."""
    what = as_today(what)
    return _leaves_its_module(what) or (is_installed(_first(what)) and not is_recorded(what))


def is_code(what: Global, *, named: bool = False) -> bool:
    """The same for a format whose own loader bounds what is made: neither a class nor a mere name is an attack."""
    what = as_today(what)
    is_class = bool(re.match(r"_*[A-Z]", what.name.rpartition(".")[2]))
    called = is_installed(_first(what)) and not is_class and not named
    return _leaves_its_module(what) or _first(what) in TOOLS or called


def _first(what: Global) -> str:
    return what.module.partition(".")[0]


def _leaves_its_module(what: Global) -> bool:
    """It is of the standard library, or a path by which one gets there or into another library."""
    parts = what.name.split(".")
    if (
        is_folder(_first(what))
        or is_standard(_first(what))
        or any(_is_inner(part) for part in [*what.module.split("."), *parts])
    ):
        return True
    return any(part in STANDARD for part in parts) or (len(parts) > 1 and any(_leads_out(part) for part in parts))


def _is_inner(part: str) -> bool:
    return part.startswith("__") and part.endswith("__") and part not in OWN


def _leads_out(part: str) -> bool:
    return part in STANDARD or part in _KNOWN_AS or is_installed(part)


def _listed(names: Iterable[Global]) -> set[Global]:
    """Those that picklescan knows to be dangerous. It is asked with a pickle of nothing but imports."""
    asked = {each: name for name in names for each in (name, as_today(name))}
    if not asked:
        return set()
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes  # type: ignore[import-untyped]  # ships no types

    logging.getLogger("picklescan").setLevel(logging.CRITICAL)
    texts = (part.encode(errors="surrogatepass") for each in asked for part in (each.module, each.name))
    strings = [b"X" + len(text).to_bytes(4, "little") + text for text in texts]
    question = b"\x80\x04" + b"".join(a + b + b"\x93" for a, b in zip(strings[::2], strings[1::2], strict=True)) + b"."
    answer = scan_pickle_bytes(io.BytesIO(question), "names").globals
    dangerous = {(each.module, each.name) for each in answer if each.safety is SafetyLevel.Dangerous}
    return {name for each, name in asked.items() if (each.module, each.name) in dangerous}


def scanner_version() -> str:
    return version("picklescan")


def _shown(what: object) -> str:
    if isinstance(what, Made):
        return f"the result of {what.by if isinstance(what.by, Global) else 'a call'}"
    if isinstance(what, Global):
        return f"{what} itself"
    return "something kept beside it" if isinstance(what, Persistent) else f"a {type(what).__name__}"


def _some(names: Iterable[object]) -> str:
    texts = sorted(str(name)[:80].encode(errors="backslashreplace").decode() for name in names)
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")
