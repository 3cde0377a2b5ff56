"""The talk of two observers that time their models in turns, so that whatever else the machine does hits both.

A byte goes to and fro through two named pipes. From the one that leads: how many runs to make now, 0 to end. From the
other: 0, when it is ready for the next turn.
"""

import signal
from typing import NoReturn

from modelyard_convert.children.requests import Turns


class Talk:
    """Opening it waits for the other one. Whoever loses the other waits to be ended: the service knows why it went."""

    def __init__(self, turns: Turns) -> None:
        if turns.leads:
            self._told = turns.other.open("wb", buffering=0)
            self._heard = turns.own.open("rb", buffering=0)
        else:
            self._heard = turns.own.open("rb", buffering=0)
            self._told = turns.other.open("wb", buffering=0)

    def close(self) -> None:
        self._told.close()
        self._heard.close()

    def tell(self, runs: int) -> None:
        try:
            self._told.write(bytes([runs]))
        except BrokenPipeError:
            _wait_for_the_end()

    def hear(self) -> int:
        heard = self._heard.read(1)
        return heard[0] if heard else _wait_for_the_end()


def _wait_for_the_end() -> NoReturn:
    while True:
        signal.pause()
