"""The objects in memory: what their suite in `libs/store/tests` does not say."""

from modelyard_store.objects import Objects
from modelyard_testkit.objects import MemoryObjects


def test_no_call_of_theirs_goes_to_a_server() -> None:
    """A method that is new in the real ones has to be written here too."""
    real = {name for name, value in vars(Objects).items() if callable(value) and not name.startswith("_")}
    assert real - {"close"} <= set(vars(MemoryObjects))
