"""What a name, a number, an alias, a label and a description may be: the rules against their plain wording."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelyard_contracts.calls.version import (
    Description,
    Labels,
    ModelDoc,
    ModelName,
    ModelVersionNumber,
    SetAlias,
    UpdateVersion,
)

ASCII = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
# Ordinary characters, and those that a pattern or a store easily takes for something else.
ODD = "模型数字é\u00a0\u200b\u3400\ua000\u4dff\u9fff\u4e00\n\r\t\x00 .-_/\\%*?&!'\"<>=①ａ"
texts = st.text(st.one_of(st.sampled_from(ASCII + DIGITS + ODD), st.characters(exclude_categories=["Cs"])), max_size=70)


def takes(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


def chinese(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


def of_a_name(character: str) -> bool:
    return character in ASCII + DIGITS + "-_" or chinese(character)


names = st.text(
    st.one_of(st.sampled_from(ASCII + DIGITS + "-_"), st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)),
    min_size=1,
    max_size=64,
)


@given(texts)
@example("digits\n")
@example("")
@example("模" * 65)
@example("ａ")
@example("١")
def test_a_name_is_letters_digits_chinese_hyphen_and_underscore(text: str) -> None:
    assert takes(ModelName, text) == (1 <= len(text) <= 64 and all(map(of_a_name, text)))


@given(names)
def test_every_such_name_is_welcome(name: str) -> None:
    assert takes(ModelName, name)


@given(st.one_of(st.from_regex(r"[0-9.]{1,9}", fullmatch=True), texts))
@example("01.0.0")
@example("100.0.0")
@example("1.0")
@example("1.0.0\n")
@example("１.0.0")
@example("-1.0.0")
def test_a_number_is_three_parts_below_a_hundred_without_leading_zeros(text: str) -> None:
    parts = text.split(".")
    right = len(parts) == 3 and all(part in {str(number) for number in range(100)} for part in parts)
    assert takes(ModelVersionNumber, text) == right


@given(st.tuples(*[st.integers(0, 99)] * 3))
def test_every_such_number_is_welcome(parts: tuple[int, int, int]) -> None:
    assert takes(ModelVersionNumber, ".".join(map(str, parts)))


@given(texts)
@example("prod\n")
@example("1st")
def test_an_alias_begins_with_a_letter(text: str) -> None:
    right = 1 <= len(text) <= 32 and all(map(of_a_name, text)) and (text[0] in ASCII or chinese(text[0]))
    assert takes(SetAlias, {"model_name": "digits", "alias": text}) == right


@given(st.lists(texts, max_size=7))
@example(["标签"] * 6)
@example([""])
@example(["x" * 33])
@example(["生产", "prod"])
def test_at_most_five_labels_of_at_most_32_characters(labels: list[str]) -> None:
    right = len(labels) <= 5 and all(1 <= len(label) <= 32 for label in labels)
    assert takes(Labels, labels) == right
    assert takes(UpdateVersion, {"model_id": "m", "labels": labels}) == right


@given(texts)
@example("x" * 101)
@example("a & b")
def test_a_description_is_at_most_100_characters_without_the_forbidden_ones(text: str) -> None:
    for one in (text, text * 2):
        assert takes(Description, one) == (len(one) <= 100 and not set("&!'\"<>=") & set(one))


@given(texts)
@example("a\n")
@example("")
def test_a_document_name_begins_with_a_letter_or_a_chinese_character(text: str) -> None:
    right = 1 <= len(text) <= 48 and "\n" not in text and (text[0] in ASCII or chinese(text[0]))
    assert takes(ModelDoc, {"doc_name": text, "doc_url": "https://example.org"}) == right


@pytest.mark.parametrize("url", ["ftp://example.org", "javascript:alert(1)", "example.org", "", "http://"])
def test_a_document_is_linked_by_http(url: str) -> None:
    assert not takes(ModelDoc, {"doc_name": "card", "doc_url": url})


@given(name=names, labels=st.lists(texts.filter(lambda text: 1 <= len(text) <= 32 and "\x00" not in text), max_size=5))
def test_what_is_welcome_comes_back_as_it_was(name: str, labels: list[str]) -> None:
    request = UpdateVersion(model_id=name, labels=tuple(labels))
    assert UpdateVersion.model_validate_json(request.model_dump_json()) == request
