"""Each kind of fault alone, and a few mixes: what was accepted is final afterwards, once, and the light never lied."""

from collections.abc import Iterator

import pytest

from .campaign.kinds import KINDS, Fault
from .campaign.trial import Verdict, campaign_yard, planned, run
from .campaign.work import Ground

pytestmark = [pytest.mark.fault]

MIXES = (3, 5, 9)
"""Of `make campaign`: seeds whose work is long, or whose faults meet each other."""
Campaign = tuple[Ground, tuple[str, ...]]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    with campaign_yard(tmp_path_factory.mktemp("campaign") / "data") as opened:
        yield opened


def judged(verdict: Verdict) -> None:
    assert (verdict.stuck, verdict.wrong, verdict.light) == ([], [], []), verdict.faults


@pytest.mark.parametrize("kind", KINDS)
def test_one_fault(campaign: Campaign, kind: str) -> None:
    ground, kinds = campaign
    if kind not in kinds:
        pytest.skip(f"{kind} needs a small disk of its own, or a C compiler, which is not to be had here")
    what = KINDS[kind]
    judged(run(ground, 1, [Fault(kind, what.targets[0], 0.5, what.lasts[1])]))


@pytest.mark.parametrize("seed", MIXES)
def test_mixes(campaign: Campaign, seed: int) -> None:
    ground, kinds = campaign
    judged(run(ground, seed, planned(seed, kinds)))
