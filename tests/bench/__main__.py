"""`make bench`: measures what the project promises, into docs/benchmarks.md. Nothing passes or fails on time.

A run with `--quick` (about two minutes) or `--only` is for a look in between: it only prints.
"""

import argparse
import logging
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import attacks
import beside_mlflow
import client_alone
import conversions
import delivery
import fairness
import machine
import publishing
import register
import searching
import startup
import stores
import transfers
import uvloop
from figures import Aim, Table

_MEASURES = {
    "startup": startup,
    "publishing": publishing,
    "conversions": conversions,
    "transfers": transfers,
    "register": register,
    "searching": searching,
    "stores": stores,
    "mlflow": beside_mlflow,
    "delivery": delivery,
    "fairness": fairness,
    "attacks": attacks,
    "client": client_alone,
}
_PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"
_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    asked = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="modelyard-bench-", dir=asked.folder))
    started = time.monotonic()
    logging.disable(logging.WARNING)
    try:
        facts = machine.facts(folder)
        tables, aims = _run(asked, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    seconds = time.monotonic() - started
    text = _report(facts, tables, aims, seconds)
    if asked.quick or len(asked.only) < len(_MEASURES):
        print(text)
    else:
        _write(_PAGE, text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and 10,000 versions, not 100,000")
    parser.add_argument("--only", choices=list(_MEASURES), nargs="+", default=list(_MEASURES))
    parser.add_argument("--folder", type=Path, help="where the stacks keep their data; about 35 GB for a full run")
    return parser.parse_args()


def _run(asked: argparse.Namespace, folder: Path) -> tuple[list[Table], list[Aim]]:
    tables: list[Table] = []
    aims: list[Aim] = []
    for name in asked.only:
        print(f"measuring {name} …", flush=True)
        found, judged = uvloop.run(_MEASURES[name].measure(folder / name, asked.quick))
        shutil.rmtree(folder / name, ignore_errors=True)
        tables += found
        aims += judged
        print("\n\n".join(table.markdown() for table in found), flush=True)
    return tables, aims


def _report(facts: list[tuple[str, str]], tables: list[Table], aims: list[Aim], seconds: float) -> str:
    where = "\n".join(f"| {name} | {value} |" for name, value in facts)
    judged = Table("Aims", ("aim", "", "measured", ""))
    judged.rows = [(aim.what, aim.aim, aim.measured, "met" if aim.met else "**missed**") for aim in aims]
    head = f"Measured on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, in {seconds:.0f} s.\n\n| | |\n|---|---|\n{where}"
    return "\n\n".join([head, *(table.markdown() for table in [judged, *tables] if table.rows)])


def _write(file: Path, text: str) -> None:
    """Raises ValueError when the file lacks the two marks."""
    before, begin, rest = file.read_text("utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{file} has no {_BEGIN} … {_END}")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
