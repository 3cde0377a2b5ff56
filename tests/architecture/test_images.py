"""The images of the services are alike, hold what the service declares and nothing else, and trust nobody."""

import re
from functools import cache

import pytest

from .tree import ROOT, Member, members, services


@cache
def _by_name() -> dict[str, Member]:
    return {member.name: member for member in members()}


def stands_on(member: Member) -> set[str]:
    """Names of the members it needs, directly or not."""
    declared = {re.split(r"[<>=!~; ]", text)[0] for text in member.declaration["project"]["dependencies"]}
    direct = declared & set(_by_name())
    return direct.union(*(stands_on(_by_name()[name]) for name in direct))


def _dockerfile(service: Member) -> str:
    return (ROOT / service.folder / "Dockerfile").read_text("utf-8")


ALL = pytest.mark.parametrize("service", services(), ids=lambda service: service.name)


@ALL
def test_it_holds_what_the_service_stands_on(service: Member) -> None:
    copied = set(re.findall(r"^COPY ((?:libs|services)/\w+) \1$", _dockerfile(service), re.MULTILINE))
    wanted = {str(_by_name()[name].folder) for name in stands_on(service)} | {str(service.folder)}
    assert copied == wanted


@ALL
def test_it_is_like_all_others(service: Member) -> None:
    assert _form(service) == _form(_by_name()["modelyard-version"])


def _form(service: Member) -> str:
    """The Dockerfile without the names of the service and of the libs it stands on."""
    text = re.sub(r"^COPY libs/.*\n", "", _dockerfile(service), flags=re.MULTILINE)
    text = re.sub(r"^EXPOSE .*\n", "", text, flags=re.MULTILINE)
    name = service.folder.name
    return text.replace(f"services/{name}", "services/NAME").replace(f"modelyard_{name}", "modelyard_NAME")


@ALL
def test_it_is_pinned_and_not_root(service: Member) -> None:
    text = _dockerfile(service)
    installs = re.findall(r"^.*pip .*(?:install|wheel) .*$", text, re.MULTILINE)
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    assert text.index("\nUSER 10001\n") < text.index("\nCMD ")
    assert "HEALTHCHECK" in text
