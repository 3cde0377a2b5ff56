"""Pickles that would run code are refused whatever they are dressed as; real models pass. Nothing here is loaded."""

import builtins
import bz2
import functools
import gzip
import io
import lzma
import operator
import os
import pickle
import pkgutil
import runpy
import struct
import subprocess
import traceback
import warnings
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn import datasets, ensemble, feature_extraction, linear_model, neighbors, pipeline, preprocessing, svm

from modelyard_contracts.shapes import ScanReport
from modelyard_formats.format import Entry
from modelyard_formats.pickle import calls
from modelyard_formats.pickle import rules as rules_module
from modelyard_formats.pickle.reader import KEEP, Allowance, Machine, Unreadable
from modelyard_formats.pickle.rules import Audit
from modelyard_formats.pickle.source import Source
from modelyard_formats.scan.package import scan_package

FIXTURES = Path(__file__).parent / "fixtures"


def scan(folder: Path, files: dict[str, bytes]) -> ScanReport:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return scan_package(folder, [Entry(name, len(data)) for name, data in files.items()])


def rules(report: ScanReport, severity: str = "dangerous") -> set[str]:
    return {each.rule for each in report.findings if each.severity == severity}


class Runs:
    def __init__(self, function, *args):
        self.made = function, args

    def __reduce__(self):
        return self.made


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def imported(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


COMMAND = "touch was-executed"
CALL = text(COMMAND) + b"\x85R."
ATTACKS = {
    "system": pickle.dumps(Runs(os.system, COMMAND)),
    "system, protocol 0": pickle.dumps(Runs(os.system, COMMAND), protocol=0),
    "system, protocol 2": pickle.dumps(Runs(os.system, COMMAND), protocol=2),
    "popen": pickle.dumps(Runs(subprocess.Popen, [COMMAND])),
    "eval": pickle.dumps(Runs(eval, COMMAND)),
    "exec": pickle.dumps(Runs(exec, COMMAND)),
    "getattr chain": b"cbuiltins\ngetattr\n(cimportlib\nimport_module\n(S'os'\ntRS'system'\ntR(S'x'\ntR.",
    "import": pickle.dumps(Runs(builtins.__import__, "os")),
    "runpy": pickle.dumps(Runs(runpy.run_path, COMMAND)),
    "partial": pickle.dumps(Runs(functools.partial, os.system, COMMAND)),
    "attrgetter": pickle.dumps(Runs(operator.attrgetter, "system")),
    "resolve_name": pickle.dumps(Runs(pkgutil.resolve_name, "os:system")),
    "open": pickle.dumps(Runs(open, "was-executed", "w")),
    # Not on any list of forbidden names.
    "an unlisted one of the standard library": b"\x80\x04" + imported("ctypes.util", "_findLib_gcc")
    + text("a") + b"\x85R.",
    "pip": b"\x80\x04" + imported("pip", "main") + b"]" + text("install") + b"a\x85R.",
    "a function of an installed library": b"\x80\x04" + imported("numpy", "load") + text("x") + b"\x85R.",
    "import by numpy": b"\x80\x04" + imported("numpy._core", "_ufunc_reconstruct")
    + text("os") + text("system") + b"\x86R.",
    "torch.load": b"\x80\x02ctorch.storage\n_load_from_bytes\n" + text("x") + b"\x85R.",
    "a path through a library": b"\x80\x04" + imported("numpy", "testing._private.utils.os.system")
    + text("x") + b"\x85R.",
    "another module's builtins": b"\x80\x04" + imported("numpy", "__builtins__") + b".",
    "python 2 names": b"c__builtin__\neval\n(S'1'\ntR.",
    "python 2 commands": b"ccommands\ngetoutput\n(S'1'\ntR.",
    "inst": b"(S'touch was-executed'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch was-executed'\no.",
    "newobj": b"\x80\x02cos\nsystem\n" + text(COMMAND) + b"\x85\x81.",
    "names from the memo": b"\x80\x04" + text("os") + b"q\x050" + text("system") + b"q\x060h\x05h\x06\x93" + CALL,
    "memo confusion": text("os") + b"q\x00" + text("system") + b"q\x0100"
    + text("torch._utils") + b"\x94" + text("_rebuild_tensor_v2") + b"\x9400h\x00h\x01\x93" + CALL,
    "a list between the names": b"\x80\x04" + text("os") + b"]" + text("x") + b"a0" + text("system") + b"\x93" + CALL,
    "marks between the names": b"\x80\x04" + text("os") + b"(" + text("x") + b"1" + text("system") + b"\x93" + CALL,
    "long junk before it": b"\x80\x04" + text("x" * 100_000) + b"0" + imported("os", "system") + CALL,
    "broken after the call": pickle.dumps(Runs(os.system, COMMAND))[:-1] + b"\xff\xff",
    "cut off after the call": pickle.dumps(Runs(os.system, COMMAND))[:-1],
    "a second pickle behind a harmless one": pickle.dumps([1, 2]) + pickle.dumps(Runs(os.system, COMMAND)),
    "an extension code": b"\x80\x02\x82\x01)R.",
    "a computed name": b"\x80\x04" + imported("builtins", "str") + text("os")
    + b"\x85R" + text("system") + b"\x93" + CALL,
    "calling what was made": b"\x80\x04" + imported("acme", "Shell") + b")R)R.",
    "changing a class": b"\x80\x04" + imported("collections", "OrderedDict") + b"}" + text("a") + b"K\x01sb.",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("file", ["a.pkl", "weights.bin", "model.m", "data"])
def test_code_is_refused_whatever_the_file_is_called(tmp_path, name, file):
    found = rules(scan(tmp_path, {file: ATTACKS[name]}))
    assert found & {"pickle-code", "pickle-computed-call", "pickle-changes-import"}
    assert not Path("was-executed").exists()


MANY = b"(" + b"}" * 9 + b"t"
ODD = (b"(}t", b"(}]Nt", b"(]t", b"(]]t", b"(\x8ft", b"(Nt", b"(I-1\nt", b"(G" + b"\xff" * 8 + b"t", MANY, b"}", b"N")
"""Arguments that a rule might stumble over."""


def test_no_rule_that_stumbles_ends_the_reading():
    """A real loader may go on where our reading of the arguments cannot."""
    for name in calls.CALLS:
        module, _, what = name.rpartition(".")
        for odd in ODD:
            for then in (b"R", b"\x81", b"R}b", b"R" + odd + b"b"):
                data = b"\x80\x04" + imported(module, what) + odd + then + b"."
                machine = Machine(Source(io.BytesIO(data), len(data)), Audit(), Allowance(), arrays=False)
                try:
                    machine.run()
                except Unreadable as error:
                    frames = traceback.extract_tb(error.__cause__.__traceback__) if error.__cause__ else []
                    assert rules_module.__file__ not in {frame.filename for frame in frames}, data


@pytest.mark.parametrize(
    "pack",
    [zlib.compress, gzip.compress, bz2.compress, lzma.compress, lambda data: lzma.compress(data, lzma.FORMAT_ALONE)],
)
def test_code_in_compressed_pickles_is_refused(tmp_path, pack):
    attack = ATTACKS["system"]
    assert "pickle-code" in rules(scan(tmp_path, {"a.joblib": pack(attack)}))
    assert "pickle-code" in rules(scan(tmp_path, {"a.dat": pack(pack(attack))}))


def test_joblib_writes_what_is_found(tmp_path):
    for compress in (0, 3, ("bz2", 3), ("lzma", 3)):
        joblib.dump({"a": np.ones(9), "b": Runs(os.system, COMMAND)}, tmp_path / "a.m", compress=compress)
        assert rules(scan(tmp_path, {"a.m": (tmp_path / "a.m").read_bytes()})) == {"pickle-code"}


def test_code_in_what_joblib_takes_for_an_array_is_found(tmp_path):
    """joblib.load passes over these bytes, pickle.load runs them."""
    joblib.dump({"a": np.frombuffer(b"A" * 800, np.uint8)}, tmp_path / "a.m")
    data = (tmp_path / "a.m").read_bytes()
    start = data.index(b"A" * 700)
    padding = data.rindex(b"b", 0, start) + 1  # the BUILD after which joblib reads the array itself
    attack = ATTACKS["system, protocol 0"]
    hidden = data[:padding] + attack + data[padding + len(attack) :]
    assert "pickle-code" in rules(scan(tmp_path, {"a.m": hidden}))


def test_arrays_of_objects_are_pickles(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Runs(os.system, COMMAND)], object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", good=np.ones(3), bad=np.array([Runs(eval, COMMAND)], object))
    np.save(tmp_path / "c.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(tmp_path / "d.npy", np.zeros(3, [("a", "f4"), ("b", "i4"), ("c", "U3")]))
    files = {name: (tmp_path / name).read_bytes() for name in ("a.npy", "b.npz", "c.npy", "d.npy")}
    report = scan(tmp_path, files)
    found = {(each.file, each.severity, each.rule) for each in report.findings}
    assert found == {
        ("a.npy", "dangerous", "pickle-code"), ("a.npy", "suspicious", "numpy-objects"),
        ("b.npz", "dangerous", "pickle-code"), ("b.npz", "suspicious", "numpy-objects"),
        ("c.npy", "suspicious", "numpy-objects"),
    }  # fmt: skip
    disguised = files["a.npy"].replace(b"'|O'", b"'\\x4f'"[:4])
    assert "pickle-code" in rules(scan(tmp_path, {"e.npy": disguised}))


def test_somebodys_own_class_is_recorded_and_named(tmp_path):
    own = b"\x80\x04" + imported("acme.models", "Churn") + b")\x81}b."
    report = scan(tmp_path, {"model/a.pkl": own})
    (found,) = report.findings
    assert (found.severity, found.rule, found.file) == ("suspicious", "pickle-unknown-import", "model/a.pkl")
    assert "acme.models.Churn" in found.message


def test_what_should_be_a_pickle_must_be_one(tmp_path):
    assert rules(scan(tmp_path, {"a.pkl": b"no pickle", "b.txt": b"cos\nsystem\n", "c": b"R is text"})) == {
        "pickle-unreadable"
    }
    huge = b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"."
    assert rules(scan(tmp_path, {"a.pkl": huge})) == {"pickle-unreadable"}


def test_endless_pickles_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("modelyard_formats.scan.search.Allowance", _small)
    assert rules(scan(tmp_path, {"a.pkl": b"\x80\x02" + b"N0" * 10_000 + b"N."})) == {"pickle-too-large"}
    assert "pickle-code" in rules(scan(tmp_path, {"a.pkl": b"cos\nsystem\n" + b"N0" * 10_000 + b"N."}))


def _small():
    from modelyard_formats.pickle.reader import Allowance

    return Allowance(operations=5_000)


def models():
    rows, classes = datasets.load_iris(return_X_y=True)
    random = np.random.default_rng(0)
    yield ensemble.RandomForestClassifier(5, random_state=0).fit(rows, classes)
    yield ensemble.GradientBoostingClassifier(n_estimators=3).fit(rows, classes)
    yield ensemble.HistGradientBoostingClassifier(max_iter=3).fit(rows, classes)
    yield pipeline.make_pipeline(preprocessing.StandardScaler(), svm.SVC(probability=False)).fit(rows, classes)
    yield linear_model.LogisticRegression(max_iter=200).fit(rows, classes.astype(str))
    yield linear_model.SGDClassifier(random_state=np.random.RandomState(0)).fit(rows, classes)
    yield neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(rows, classes)
    yield neighbors.KNeighborsClassifier(algorithm="ball_tree").fit(rows, classes)
    yield feature_extraction.text.TfidfVectorizer().fit(["a good model", "a bad one"])
    yield preprocessing.OneHotEncoder().fit(np.array([["a"], ["b"]], object))
    yield {"weights": random.standard_normal((9, 9)), "when": np.datetime64("2026-01-01"), "large": "x" * (KEEP + 1)}


def test_real_models_pass(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = list(models())
    files = {}
    for number, model in enumerate(made):
        for protocol in range(6):
            files[f"{number}-{protocol}.pkl"] = pickle.dumps(model, protocol=protocol)
        for compress in (0, 1, ("gzip", 1), ("bz2", 1), ("lzma", 1)):
            buffer = io.BytesIO()
            joblib.dump(model, buffer, compress=compress)
            files[f"{number}-{compress if isinstance(compress, int) else compress[0]}.joblib"] = buffer.getvalue()
    report = scan(tmp_path, files)
    assert (report.findings, report.read) == ((), len(files))


def test_files_of_other_libraries_pass():
    names = [
        path.name for path in FIXTURES.iterdir() if path.is_file() and path.suffix != ".py" and path.name != "odd.skops"
    ]
    report = scan_package(FIXTURES, [Entry(name, (FIXTURES / name).stat().st_size) for name in names])
    assert report.findings == ()
    assert report.read > 15
    assert set(report.scanners) == {"modelyard", "picklescan"}
