import uuid

from hypothesis import given
from hypothesis import strategies as st

from modelyard_contracts.ids import derived_id, new_id


def test_new_ids_are_uuid7_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert all(str(uuid.UUID(value)) == value and value[14] == "7" and value[19] in "89ab" for value in ids)
    assert len(set(ids)) == len(ids)
    assert [value[:13] for value in ids] == sorted(value[:13] for value in ids)


@given(st.lists(st.text(alphabet="ab手-", max_size=5), min_size=1, max_size=4))
def test_derived_ids_depend_on_each_part_and_nothing_else(parts: list[str]) -> None:
    assert derived_id(*parts) == derived_id(*parts)
    assert str(uuid.UUID(derived_id(*parts))) == derived_id(*parts)
    assert derived_id(*parts) != derived_id(*parts, "")
