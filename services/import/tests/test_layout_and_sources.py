"""Where files belong, and which places may be read: pure decisions."""

import pytest

from modelyard_contracts.failures import Failure
from modelyard_contracts.shapes import Location
from modelyard_import.domain.layout import SourceFile, lay_out
from modelyard_import.domain.sources import Places, allowed

BUCKETS = ("training", "datasets", "artifacts")


def listed(*paths: str) -> list[SourceFile]:
    return [SourceFile(bucket="b", key=f"run/{path}", path=path, size=len(path), etag="e") for path in paths]


def planned(*paths: str) -> dict[str, str]:
    return {file.source.path: file.path for file in lay_out(listed(*paths)).files}


def test_a_run_folder_keeps_model_and_calibration_data_and_leaves_the_rest_out() -> None:
    layout = lay_out(
        listed("model/config.json", "model/a.onnx", "calibration_data/0.npy", "checkpoints/9.pt", "log.txt")
    )
    assert [file.path for file in layout.files] == ["calibration_data/0.npy", "model/a.onnx", "model/config.json"]
    assert layout.left_out == ("checkpoints/9.pt", "log.txt")
    assert layout.total_bytes == sum(map(len, ("calibration_data/0.npy", "model/a.onnx", "model/config.json")))


def test_a_model_root_is_put_below_model() -> None:
    assert planned("config.json", "a.onnx", "extra/words.txt", "calibration_data/0.npy") == {
        "config.json": "model/config.json",
        "a.onnx": "model/a.onnx",
        "extra/words.txt": "model/extra/words.txt",
        "calibration_data/0.npy": "calibration_data/0.npy",
    }


def test_folder_markers_are_nobodys_files() -> None:
    assert planned("", "model/", "model/config.json") == {"model/config.json": "model/config.json"}


def location(bucket: str, prefix: str) -> Location:
    return allowed(Location(bucket=bucket, prefix=prefix), "mine", places=Places(BUCKETS), artifacts_bucket="artifacts")


def test_a_prefix_means_a_folder_even_without_its_slash() -> None:
    assert location("training", "digits/V001") == Location(bucket="training", prefix="digits/V001/")


def test_a_projects_own_folder_in_the_artifacts_bucket_may_be_read() -> None:
    assert location("artifacts", "mine/uploads/1/").prefix == "mine/uploads/1/"


@pytest.mark.parametrize(
    ("bucket", "prefix", "field", "words"),
    [
        ("secrets", "a/", "source.location.bucket", "not open for imports"),
        ("artifacts", "other/models/1/", "source.location.prefix", "another project"),
        ("artifacts", "mine2/models/1/", "source.location.prefix", "another project"),
        ("artifacts", "mine/../other/", "source.location.prefix", "plain folder path"),
        ("training", "a//b/", "source.location.prefix", "plain folder path"),
        ("training", "/a/", "source.location.prefix", "plain folder path"),
        ("training", "a\\b/", "source.location.prefix", "plain folder path"),
        ("training", "a\n/", "source.location.prefix", "plain folder path"),
        ("training", "/", "source.location.prefix", "plain folder path"),
    ],
)
def test_other_places_are_refused_by_name_and_rule(bucket: str, prefix: str, field: str, words: str) -> None:
    with pytest.raises(Failure, match=words) as refused:
        location(bucket, prefix)
    assert refused.value.code == "ModelArts.3017"
    assert [problem.field for problem in refused.value.problems] == [field]
    assert refused.value.problems[0].rule
