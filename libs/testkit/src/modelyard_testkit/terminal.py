"""No test sees the terminal, colours or language of whoever started it. Loaded by the root `conftest.py`.

What a test starts inherits the environment, and the command line reads it when a command begins
(`modelyard.cli.terminal`): both find 80 columns, no wish about colours, UTF-8. A test that wants another terminal says
so itself.
"""

import os
from collections.abc import Iterator

import pytest

_TOLD_BY = (
    *("COLUMNS", "LINES", "TERM", "COLORTERM", "TERMINAL_WIDTH", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"),
    *("LANG", "LANGUAGE", "PYTHONIOENCODING"),
)


@pytest.fixture(scope="session", autouse=True)
def _same_in_every_terminal() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in (*_TOLD_BY, *(name for name in os.environ if name.startswith("LC_"))):
            patch.delenv(name, raising=False)
        patch.setenv("COLUMNS", "80")
        patch.setenv("LANG", "C.UTF-8")
        yield
