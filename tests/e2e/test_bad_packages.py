"""What is wrong with a package is said where it is wrong, and nothing of it stays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard import Client
from modelyard.errors import Refused
from modelyard_testkit.models import (
    digits_config,
    digits_like_mlp,
    package,
    truncated,
    with_custom_operator,
    with_data_at,
)
from modelyard_testkit.yard import Yard, eventually
from modelyard_testkit.yard_inside import dead_letters, keys, pending_outbox, put, unsettled

pytestmark = [pytest.mark.e2e, pytest.mark.servers]

PROJECT = "bad-packages"
ENDED = ("published", "failed")


@pytest.fixture(scope="module")
def client(yard: Yard) -> Iterator[Client]:
    with yard.project(PROJECT) as made:
        yield made


@pytest.fixture
def no_debris(yard: Yard, client: Client) -> Iterator[None]:
    """Whatever the test did: no object of a version, nothing in work, nothing unsaid, nothing given up."""
    before = keys(yard, "training", "")
    yield
    eventually(lambda: unsettled(yard) == 0 and not pending_outbox(yard), "an idle yard")
    eventually(lambda: not keys(yard, "artifacts", f"{PROJECT}/models/"), "a clean bucket")
    assert before <= keys(yard, "training", ""), "what training left is not ours to remove"
    assert dead_letters(yard) == ()
    assert [model for model in client.get("models")["models"] if model["model_status"] != "failed"] == []


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _without_config(root: Path) -> None:
    (package(root) / "model/config.json").unlink()


def _broken_config(root: Path) -> None:
    (package(root) / "model/config.json").write_text('{"model_algorithm": "x",')


def _wrong_field(root: Path) -> None:
    package(root, config=digits_config(preprocessing=[{"input": "image", "size": [8, 0]}]))


def _missing_field(root: Path) -> None:
    package(root, config=digits_config(model_type=None))


def _without_model(root: Path) -> None:
    (package(root) / "model/model.onnx").unlink()


def _two_models(root: Path) -> None:
    digits_like_mlp(package(root) / "model/other.onnx", seed=1)


def _cut_off(root: Path) -> None:
    package(root, truncated)


def _data_outside(root: Path) -> None:
    package(root, lambda path: with_data_at(path, "../../../../etc/passwd"))


def _data_at_root(root: Path) -> None:
    package(root, lambda path: with_data_at(path, "/etc/passwd"))


def _unknown_operator(root: Path) -> None:
    package(root, with_custom_operator)


CONFIG, MODEL = "model/config.json", "model/model.onnx"
CASES: list[tuple[Callable[[Path], None], str, str | None, str | None, str]] = [
    (_without_config, "3015", CONFIG, None, "missing"),
    (_broken_config, "3015", CONFIG, None, "not valid JSON"),
    (_wrong_field, "3016", CONFIG, "preprocessing.0.size.1", "preprocessing.0.size.1"),
    (_missing_field, "3016", CONFIG, "model_type", "model_type: this field is required"),
    (_without_model, "3017", None, None, "model"),
    (_two_models, "3017", None, None, "other.onnx"),
    (_cut_off, "3017", MODEL, None, "model.onnx"),
    (_data_outside, "3017", MODEL, "w1", "../../../../etc/passwd"),
    (_data_at_root, "3017", MODEL, "w1", "/etc/passwd"),
    (_unknown_operator, "3017", MODEL, "Foo", "com.acme::Foo"),
]


def imported(client: Client, **fields: Any) -> dict[str, Any]:
    """The version, once its import has ended."""
    model_id = client.post("models", fields)["model_id"]

    def ended() -> dict[str, Any] | None:
        model = client.get(f"models/{model_id}")
        return model if model["model_status"] in ENDED else None

    return eventually(ended, f"the end of the import of {fields}")


@pytest.mark.parametrize(("build", "code", "file", "field", "words"), CASES, ids=[case[0].__name__ for case in CASES])
def test_package(
    build: Callable[[Path], None],
    code: str,
    file: str | None,
    field: str | None,
    words: str,
    yard: Yard,
    client: Client,
    tmp_path: Path,
    no_debris: None,
) -> None:
    build(tmp_path)
    name = build.__name__.strip("_")
    model = imported(client, model_name=name, source_location=put(yard, "training", name, contents(tmp_path)))
    assert model["model_status"] == "failed"
    assert model["artifacts"] == []
    failure = model["failure"]
    assert failure["code"] == f"ModelArts.{code}"
    assert words in failure["reason"]
    first = failure["problems"][0]
    assert file in (None, first["file"])
    assert field == first.get("field")
    assert first["rule"]
    story = client.get(f"models/{model['model_id']}/import")
    assert (story["state"], story["code"], story["reason"]) == ("failed", failure["code"], failure["reason"])
    # The command line tells it too, and the name is free again once the failed version is deleted.
    shown = yard.command("models", "show", name, client=client).stdout
    for problem in failure["problems"]:
        assert (problem.get("field") or "") in shown
        assert problem["message"].removeprefix(f"{problem['file']}: {problem.get('field')}: ") in shown
    assert client.delete(f"models/{model['model_id']}")["delete_success_list"] == [model["model_id"]]


def test_local_folder_is_refused_by_the_command_line(
    yard: Yard, client: Client, tmp_path: Path, no_debris: None
) -> None:
    _without_model(tmp_path / "no-model")
    done = yard.command("import", str(tmp_path / "no-model"), "--name", "no-model", client=client, code=1)
    assert "model" in done.stderr
    _without_config(tmp_path / "no-config")
    done = yard.command("import", str(tmp_path / "no-config"), "--name", "no-config", client=client, code=2)
    assert "config.json" in done.stderr
    done = yard.command("import", str(tmp_path / "nowhere"), "--name", "nowhere", client=client, code=2)
    assert "nowhere" in done.stderr


def test_place(client: Client, no_debris: None) -> None:
    model = imported(client, model_name="from-nowhere", source_location="s3://training/nothing-here/")
    assert model["model_status"] == "failed"
    assert model["failure"]["code"] == "ModelArts.3017"
    assert "nothing-here" in model["failure"]["reason"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://nobodys-bucket/digits/", "nobodys-bucket"),
        ("s3://artifacts/default/models/", "another project"),
        ("s3://training/../artifacts/default/", "not a plain folder path"),
    ],
)
def test_place_that_is_nobodys_to_use(source: str, words: str, client: Client, no_debris: None) -> None:
    """Known before anything is read: no version is made."""
    with pytest.raises(Refused, match=words) as caught:
        client.post("models", {"model_name": "from-nowhere", "source_location": source})
    assert (caught.value.status, caught.value.code) == (400, "ModelArts.3017")
