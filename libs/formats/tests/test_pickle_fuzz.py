"""Whatever a real loader looks up or does that no model needs is found by the scan: on files made from a seed.

`make fuzz` runs it with more files. A file that fails is kept in the folder that the message names.
"""

import io
import json
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn import datasets, ensemble, linear_model, neighbors, pipeline, preprocessing, tree

from modelyard_formats.format import Entry
from modelyard_formats.pickle.rules import is_allowed
from modelyard_formats.pickle.values import Global
from modelyard_formats.scan.package import scan_package
from modelyard_testkit.pickles import damaging

FIXTURES = Path(__file__).parent / "fixtures"
COUNT = int(os.environ.get("FUZZ_COUNT", "2000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
PART = 250  # a test each, so that none is long


def real_files() -> Iterator[bytes]:
    for name in ("linear.pkl", "lightgbm.pkl", "state_dict.pth", "legacy.pth", "pipeline_zlib.joblib"):
        yield (FIXTURES / name).read_bytes()
    rows, classes = datasets.load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = [
            tree.DecisionTreeClassifier(max_depth=2).fit(rows, classes),
            ensemble.RandomForestClassifier(2, max_depth=2, random_state=np.random.RandomState(0)).fit(rows, classes),
            pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.Ridge()).fit(rows, classes),
            neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(rows[:9], classes[:9]),
            {"odd": np.zeros(3, [("a", "f4"), ("b", "O")]), "objects": np.array([{"a": 1}, None], object)},
        ]
    for model in made:
        yield from (pickle.dumps(model, protocol=protocol) for protocol in (0, 2, 4, 5))
        for protocol in (2, 4):
            out = io.BytesIO()
            joblib.dump(model, out, protocol=protocol)
            yield out.getvalue()
    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], object), allow_pickle=True)
    yield out.getvalue()


def loaded(folder: Path) -> Iterator[tuple[str, set[Global], list[str]]]:
    command = [sys.executable, "-m", "modelyard_testkit.pickles.loading", str(folder)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    for line in told.stdout.splitlines():
        entry = json.loads(line)
        yield entry["file"], {Global(*name) for name in entry["names"]}, entry["events"]


def is_dangerous(folder: Path, name: str) -> bool:
    report = scan_package(folder, [Entry(name, (folder / name).stat().st_size)])
    return any(each.severity == "dangerous" for each in report.findings)


@pytest.mark.parametrize("part", range(-(-COUNT // PART)))
def test_what_a_loader_does_is_found(tmp_path, part):
    real = list(real_files())
    for number, (name, data) in enumerate(damaging.files(SEED * 1_000 + part, min(PART, COUNT), real)):
        (tmp_path / f"{number:05}-{name}").write_bytes(data)
    seen, missed = 0, []
    for name, names, events in loaded(tmp_path):
        odd = sorted(str(each) for each in names if not is_allowed(each) and each.module != "__main__")
        seen += bool(odd or events)
        if (odd or events) and not is_dangerous(tmp_path, name):
            missed.append(f"{tmp_path / name}: {', '.join([*odd, *events])}")
    assert seen > min(PART, COUNT) / 20, "the loaders hardly did anything"
    assert not missed, "\n".join(missed[:20])
