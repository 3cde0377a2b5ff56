"""Wrong converters on every kind of model: each is caught. Right ones: none is refused.

`make zoo SEEDS=100` counts both over many networks; here are two.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from modelyard_convert.children import proof
from modelyard_convert.children.proof import Verdict

from .zoo import TOLERANCES, Kind, Outputs, changes, kinds, wrong

SEEDS = range(int(os.environ.get("ZOO_SEEDS", "2")))
KINDS = tuple(kinds(0))


def verdict(kind: Kind, reference: Outputs, result: Outputs, tolerance: str) -> tuple[Verdict, str]:
    model = proof.Model(declared=kind.declared, inputs_vary=kind.inputs_vary)
    evidence = proof.compare(reference, result, kind="calibration", tolerance=TOLERANCES[tolerance], model=model)
    return proof.judge(evidence)[:2]


@pytest.mark.parametrize("name", KINDS)
def test_right_conversions_pass_and_wrong_ones_fail(name: str) -> None:
    found: Counter[tuple[str, Verdict]] = Counter()
    words = []
    for seed in SEEDS:
        kind = kinds(seed)[name]
        reference = kind.compute("exact")
        for made in TOLERANCES:
            said, why = verdict(kind, reference, kind.compute(made), made)
            found[f"right {made}", said] += 1
            words += [] if said == "passed" else [f"seed {seed}, right {made}: {said}, {why}"]
        right = kind.compute("int8")
        for way, result in wrong(kind, right, "int8"):
            if not changes(right, result):
                continue
            said, why = verdict(kind, reference, result, "int8")
            found[way, said] += 1
            words += [] if said == "failed" else [f"seed {seed}, {way}: {said}, {why}"]
    counts = "\n".join(f"{name} | {way} | {said} | {count}" for (way, said), count in sorted(found.items()))
    if log := os.environ.get("ZOO_LOG"):
        with Path(log).open("a") as file:
            file.write(counts + "\n")
    assert len(found) >= 8
    assert not words, "\n".join(words)
