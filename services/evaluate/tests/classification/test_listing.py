"""What counts as a dataset, and how a folder that is none is refused."""

import pytest

from modelyard_contracts.dataset import Listed
from modelyard_evaluate.domain.listing import Limits
from modelyard_evaluate.errors import DatasetRefused
from modelyard_evaluate.tasks.classification import listing
from modelyard_evaluate.tasks.classification.listing import count_images, scan_images, scan_npz

ANY = Limits()
GOOD = [Listed("狗/1.png", 10, "a"), Listed("猫/x.JPG", 20, "b"), Listed("猫/y.webp", 5, "c")]


def refused(*paths: str, limits: Limits = ANY) -> DatasetRefused:
    with pytest.raises(DatasetRefused) as caught:
        scan_images([Listed(path, 10, "e") for path in paths], limits, "bucket/folder/")
    return caught.value


def test_one_folder_per_class_with_chinese_names() -> None:
    scan = scan_images(GOOD, Limits(), "bucket/folder/")
    assert count_images(scan, (), Limits()).counts == {"狗": 1, "猫": 2}
    assert scan.size == 35


def test_digest_is_that_of_the_sorted_listing_and_changes_with_a_file() -> None:
    digest = scan_images(GOOD, Limits(), "").digest
    assert scan_images(reversed(GOOD), Limits(), "").digest == digest
    assert scan_images([*GOOD[:2], Listed("猫/y.webp", 5, "other")], Limits(), "").digest != digest
    assert scan_images(GOOD[:2], Limits(), "").digest != digest


def test_hidden_files_and_folder_markers_do_not_count() -> None:
    litter = [".DS_Store", "猫/.DS_Store", ".git/config", "__MACOSX/猫/x.jpg", "猫/Thumbs.db", "空/"]
    scan = scan_images([*GOOD, *(Listed(path, 1, "l") for path in litter)], Limits(), "")
    assert scan == scan_images(GOOD, Limits(), "")


@pytest.mark.parametrize("paths", [(), (".DS_Store",), ("cats/",)])
def test_an_empty_dataset_says_where_it_looked(paths: tuple[str, ...]) -> None:
    assert "no image in a class folder below 'bucket/folder/'" in refused(*paths).message


def test_every_file_that_is_in_the_wrong_place_is_named() -> None:
    failure = refused("a/1.png", "loose.png", "a/deep/2.png", "a/notes.txt")
    assert [(problem.file, problem.message) for problem in failure.problems] == [
        ("a/deep/2.png", "'a/deep/2.png' lies deeper than the class folder 'a'"),
        ("a/notes.txt", "'a/notes.txt' is not an image"),
        ("loose.png", "'loose.png' lies outside the class folders"),
    ]
    assert failure.message == "'a/deep/2.png' lies deeper than the class folder 'a' (and 2 more)"


def test_empty_and_huge_files_are_named() -> None:
    with pytest.raises(DatasetRefused, match=r"'a/1\.png' has 0 bytes"):
        scan_images([Listed("a/1.png", 0, "e")], Limits(), "")
    with pytest.raises(DatasetRefused, match=r"'a/1\.png' has 99 bytes"):
        scan_images([Listed("a/1.png", 99, "e")], Limits(most_image_bytes=98), "")


@pytest.mark.parametrize("limits", [Limits(most_samples=1), Limits(most_bytes=15)])
def test_counts_are_bounded(limits: Limits) -> None:
    assert refused("a/1.png", "b/1.png", limits=limits).kind == "too_large"


def test_classes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_CLASSES", 1)
    failure = refused("a/1.png", "b/1.png")
    assert (failure.kind, failure.message) == ("too_large", "2 classes, at most 1 are allowed")


def test_a_class_name_cannot_hold_control_characters() -> None:
    assert "name cannot be a class" in refused("a\nb/1.png").message


def test_an_npz_dataset_is_exactly_one_file() -> None:
    assert scan_npz([Listed("digits.npz", 7, "e"), Listed(".hidden", 1, "e")], Limits(), "").size == 7
    for paths in ((), ("a.npz", "b.npz"), ("a.npy",)):
        with pytest.raises(DatasetRefused, match=r"must hold exactly one \.npz file"):
            scan_npz([Listed(path, 1, "e") for path in paths], Limits(), "bucket/folder/")
