"""`python -m tests.faults.campaign --trials 200 --seed 1`: many trials on one yard, each with a seed of its own.

A JSON line per trial goes to the log. Exit status 1 when any was not clean; what it found and how to run that trial
alone is printed.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from .trial import campaign_yard, planned, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make campaign")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("campaign.jsonl"))
    chosen = parser.parse_args()
    found, kinds_run = Counter[str](), Counter[str]()
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="campaign-"))
        log = opened.enter_context(chosen.log.open("a", buffering=1))
        ground, kinds = opened.enter_context(campaign_yard(Path(folder) / "data"))
        for seed in range(chosen.seed, chosen.seed + chosen.trials):
            faults, began = planned(seed, kinds), time.monotonic()
            verdict = run(ground, seed, faults)
            log.write(json.dumps(asdict(verdict) | {"seconds": round(time.monotonic() - began, 1)}) + "\n")
            kinds_run.update(fault.kind for fault in faults)
            found["clean" if verdict.clean else "not clean"] += 1
            words = ", ".join(f"{fault.kind} {fault.target}" for fault in faults)
            sys.stdout.write(f"{seed}: {'clean' if verdict.clean else 'NOT CLEAN'} after {words}\n")
            if not verdict.clean:
                told = (*verdict.stuck, *verdict.wrong, *verdict.light)
                sys.stdout.write("".join(f"    {line}\n" for line in told))
                sys.stdout.write(f"    again: make campaign TRIALS=1 SEED={seed}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{dict(found)} of {dict(kinds_run)}\n")
    return 1 if found["not clean"] else 0


if __name__ == "__main__":
    sys.exit(main())
