"""Patterns of job names, as rules and listings use them: `*` any text, `?` one character, `[ab]` one of these."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

_WILD = "*?["
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class JobName:
    """A name that a project's runs have. Kept so that a pattern need not look at every run."""

    project: str
    job_name: str


def is_pattern(text: str) -> bool:
    """A name with nothing but brackets in it is a name."""
    return "*" in text or "?" in text


def matches(pattern: str, name: str) -> bool:
    """Upper and lower case are different."""
    return fnmatchcase(name, pattern)


def span(pattern: str) -> tuple[str, str]:
    """The first and the last name that can match, by its literal beginning."""
    end = min((pattern.index(character) for character in _WILD if character in pattern), default=len(pattern))
    return pattern[:end], pattern[:end] + _LAST
