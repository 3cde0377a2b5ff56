"""Version numbers: their order is numeric, and the next one is always free."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard_version.domain.numbers import LAST, next_number, number_of, order_of

part = st.integers(min_value=0, max_value=99)
parts = st.tuples(part, part, part)


def text(number: tuple[int, int, int]) -> str:
    return ".".join(map(str, number))


@given(parts)
def test_an_order_is_the_number(number: tuple[int, int, int]) -> None:
    assert number_of(order_of(text(number))) == text(number)


@given(parts, parts)
def test_order_is_numeric_part_by_part(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert (order_of(text(one)) < order_of(text(other))) == (one < other)


@given(st.sets(st.integers(min_value=0, max_value=LAST), min_size=1))
def test_the_next_number_is_free_and_above_all(taken: set[int]) -> None:
    number = next_number(max(taken))
    if number is None:
        assert LAST in taken
    else:
        assert order_of(number) not in taken
        assert order_of(number) > max(taken)


def test_the_first_the_carry_and_the_end() -> None:
    assert next_number(None) == "0.0.1"
    assert next_number(order_of("0.0.9")) == "0.0.10"
    assert next_number(order_of("0.0.99")) == "0.1.0"
    assert next_number(order_of("0.99.99")) == "1.0.0"
    assert next_number(order_of("99.99.99")) is None
