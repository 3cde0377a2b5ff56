"""How much work the pickles of one package may be. Used by `reader` and by whatever else looks into them."""

MAX_OPERATIONS = 5_000_000  # for all pickles of one package; some 6 s of work
MAX_TEXT = 64 * 2**20


class TooMuch(Exception):
    """More than is worth reading."""


class Allowance:
    """What may still be read, for all pickles of one package together."""

    def __init__(self, operations: int = MAX_OPERATIONS, text: int = MAX_TEXT) -> None:
        self.operations = operations
        self.text = text

    def spend(self, operations: int) -> None:
        """For work that is not one operation of the pickle. Raises `TooMuch`."""
        self.operations -= operations
        self.check()

    def check(self) -> None:
        if self.operations < 0 or self.text < 0:
            raise TooMuch(f"more than {MAX_OPERATIONS:,} operations or {MAX_TEXT:,} bytes of text")
