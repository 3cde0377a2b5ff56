"""Conditional requests (RFC 9110, section 13): `ETag` of what can be changed, `If-Match` of who changes it.

An entity tag is the revision, which grows with every change that a caller can see.
"""

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Response

from modelyard_contracts.failures import Problem
from modelyard_gateway.doors.v1.replies import invalid

_TAG: Final = re.compile(r'\s*(W/)?"([^"]*)"\s*')
_TAG_OF_OURS: Final = re.compile(r"0|[1-9][0-9]{0,17}")
_REVISION: Final = re.compile(rb'\{"model_id":"[^"]*","revision":(\d+)[,}]')


def _revisions(
    if_match: Annotated[
        str | None, Header(max_length=1000, description="`ETag` of what was read; 412 when it has changed since")
    ] = None,
) -> tuple[int, ...] | None:
    """None where nothing is asked, or only that it exists. A weak tag, and one of somebody else, match nothing."""
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [_TAG.fullmatch(each) for each in if_match.split(",")]
    if None in tags:
        wrong = if_match.split(",")[tags.index(None)].strip()
        message = f'{wrong} is no ETag: one stands between quotation marks, "{wrong.strip(chr(34))}"'
        raise invalid((Problem(message=message, field="If-Match", rule="an ETag between quotation marks, or *"),))
    return tuple(int(tag[2]) for tag in tags if tag and not tag[1] and _TAG_OF_OURS.fullmatch(tag[2]))


def _known(if_none_match: Annotated[str | None, Header(max_length=1000)] = None) -> tuple[str, ...]:
    if (if_none_match or "").strip() == "*":
        return ("*",)
    tags = (_TAG.fullmatch(each) for each in (if_none_match or "").split(","))
    return tuple(tag[2] for tag in tags if tag)


def _held(
    revisions: Annotated[tuple[int, ...] | None, Depends(_revisions)],
    if_match: Annotated[str | None, Header(max_length=1000)] = None,
    if_none_match: Annotated[str | None, Header(max_length=1000, description="`*`: only while nobody has it")] = None,
) -> dict[str, Any]:
    """`revisions`, and `held`: whether it has to be there, or must not be; None where that is not asked."""
    if (if_none_match or "*").strip() != "*":
        message = "of what is to be changed only * is understood here: that nobody has it"
        raise invalid((Problem(message=message, field="If-None-Match", rule="*"),))
    there = True if (if_match or "").strip() == "*" else None
    return {"revisions": revisions, "held": False if if_none_match else there}


IfMatch = Annotated[tuple[int, ...] | None, Depends(_revisions)]
Held = Annotated[dict[str, Any], Depends(_held)]
IfNoneMatch = Annotated[tuple[str, ...], Depends(_known)]


def with_etag(answer: Response, known: tuple[str, ...]) -> Response:
    """The answer about one version, which begins with its id and revision, or 304 for who has it already."""
    found = _REVISION.match(bytes(answer.body))
    if found is None:
        return answer
    revision = found[1].decode()
    if revision in known or known == ("*",):
        answer = Response(status_code=304)
    answer.headers["ETag"] = f'"{revision}"'
    return answer
