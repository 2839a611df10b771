"""`sources.image_files` and what becomes of pictures on their way through schema, conform, split and Parquet."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from sources.conform import conform, conform_loosely, to_storage, write_table
from sources.errors import SourceInputError
from sources.fingerprint import fingerprint
from sources.images import Image, ImageOptions
from sources.inference import infer_schema
from sources.readers import SourceSpec, read, read_table
from sources.split import count_duplicates, split


def pixels_of(number: int, *, height: int = 5, width: int = 7, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, channels)).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(path)


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    for number in range(6):
        save(tmp_path / "animals" / ("cat" if number % 2 else "dog") / f"{number}.png", pixels_of(number))
    (tmp_path / "animals" / ".DS_Store").write_bytes(b"hidden")
    return tmp_path / "animals"


def folder(path: Path, **options: Any) -> SourceSpec:
    return SourceSpec(kind="folder", folder=str(path), **options)


def test_folders_name_the_labels_of_their_pictures(animals: Path) -> None:
    frame = read(folder(animals))
    assert list(frame.columns) == ["image", "label"]
    assert frame["label"].tolist() == ["cat"] * 3 + ["dog"] * 3
    assert frame["image"][0] == Image(pixels_of(1))


def test_a_table_beside_the_pictures_describes_each_by_its_file(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"{number}.png", pixels_of(number, channels=1))
    pd.DataFrame({"age": [3, 2, 1, 0], "file": [f"{number}.png" for number in (3, 2, 1, 0)]}).to_csv(
        tmp_path / "people.csv", index=False
    )
    frame = read(folder(tmp_path, attributes=str(tmp_path / "people.csv")))
    assert list(frame.columns) == ["image", "age"]
    assert all(frame["image"][row] == Image(pixels_of(3 - row, channels=1)) for row in range(4))


def test_arrays_of_one_length_are_pictures_and_their_attributes(tmp_path: Path) -> None:
    grey = np.stack([pixels_of(number, channels=1)[:, :, 0] for number in range(5)])
    np.savez(tmp_path / "x.npz", pictures=grey, sex=np.array(list("mffmm")), age=np.arange(5)[:, None])
    frame = read(SourceSpec(kind="arrays", arrays=str(tmp_path / "x.npz")))
    assert frame["sex"].tolist() == list("mffmm")
    assert frame["age"].tolist() == list(range(5))
    assert np.array_equal(frame["image"][2].pixels[:, :, 0], grey[2])
    np.savez(tmp_path / "y.npz", train=grey, test=grey[:2], train_label=np.arange(5), test_label=np.arange(2))
    chosen = read(SourceSpec(kind="arrays", arrays=str(tmp_path / "y.npz"), array="train"))
    assert (list(chosen.columns), len(chosen)) == (["image", "train_label"], 5)
    np.save(tmp_path / "z.npy", grey.astype(np.uint16) * 257)
    assert read(SourceSpec(kind="arrays", arrays=str(tmp_path / "z.npy")))["image"][0].pixels.dtype == np.uint16


def test_pictures_keep_their_pixels_through_schema_split_and_parquet(animals: Path, tmp_path: Path) -> None:
    frame = read(folder(animals))
    schema = infer_schema(frame)
    assert (schema["image"].kind, schema["image"].shape, schema["image"].storage) == ("image", (5, 7, 3), "uint8")
    dataset = conform(frame, schema)
    assert dataset.media["image"].shape == (6, 5, 7, 3)
    taken = dataset.take(np.array([4, 1]))
    assert np.array_equal(taken.media["image"], dataset.media["image"][[4, 1]])
    write_table(to_storage(taken), tmp_path / "back.parquet", "parquet")
    back = conform(read_table(tmp_path / "back.parquet"), schema)
    assert np.array_equal(back.media["image"], taken.media["image"])
    assert fingerprint(back) == fingerprint(taken) != fingerprint(dataset)
    with pytest.raises(SourceInputError, match="CSV holds no pictures"):
        write_table(to_storage(taken), tmp_path / "back.csv", "csv")


def test_equal_pictures_count_as_repeated_rows_and_rows_follow_their_pictures(tmp_path: Path) -> None:
    many = np.stack([pixels_of(number % 30) for number in range(40)])
    np.savez(tmp_path / "x.npz", images=many, number=np.arange(40) % 30)
    frame = read(SourceSpec(kind="arrays", arrays=str(tmp_path / "x.npz")))
    dataset = conform(frame, infer_schema(frame))
    assert count_duplicates(dataset) == 10
    for part in (lambda s: s.train, lambda s: s.holdout, lambda s: s.reference):
        rows = part(split(dataset, seed=1))
        for row, number in enumerate(rows.frame["number"]):
            assert np.array_equal(rows.media["image"][rows.frame["image"][row]], pixels_of(int(number)))


def test_pictures_of_another_size_do_not_fit_and_are_counted(animals: Path) -> None:
    frame = read(folder(animals))
    schema = infer_schema(frame)
    odd = frame.copy()
    odd.at[2, "image"] = Image(pixels_of(1, height=6))  # noqa: PD008 - an object in a cell
    dataset, mismatches = conform_loosely(odd, schema)
    assert [(one.what, one.cells, one.first_row) for one in mismatches] == [("type", 1, 3)]
    assert dataset is not None
    assert not dataset.media["image"][2].any()


def test_the_bundled_digits_are_pictures_too() -> None:
    frame = read(SourceSpec(kind="sklearn", dataset="digits_images"))
    plain = read(SourceSpec(kind="sklearn", dataset="digits"))
    assert len(frame) == len(plain) == 1_797
    assert frame["digit"].tolist() == [str(int(number)) for number in plain["target"]]
    levels = np.unique(np.stack([cell.pixels for cell in frame["image"]]))
    assert (len(levels), levels[0], levels[-1]) == (17, 0, 255)


def mixed_sizes(root: Path) -> None:
    save(root / "a.png", pixels_of(1))
    save(root / "b.png", pixels_of(1, height=9))


def mixed_modes(root: Path) -> None:
    save(root / "a.png", pixels_of(1))
    save(root / "b.png", pixels_of(1, channels=1))


def stray_file(root: Path) -> None:
    save(root / "a.png", pixels_of(1))
    (root / "notes.txt").write_text("x")


def a_link(root: Path) -> None:
    save(root / "a.png", pixels_of(1))
    (root / "b.png").symlink_to(root / "a.png")


def beside_labels(root: Path) -> None:
    save(root / "a.png", pixels_of(1))
    save(root / "cat" / "b.png", pixels_of(2))


def hostile_name(root: Path) -> None:
    save(root / "a.png", pixels_of(1))
    (root / "b\x1b[31m\n.png").write_bytes(b"junk")


def nothing(root: Path) -> None:
    root.mkdir(exist_ok=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (mixed_sizes, r"b\.png.*resize: \[height, width\]"),
        (mixed_modes, r"b\.png.*source\.mode"),
        (stray_file, r"notes\.txt.*not a picture"),
        (a_link, r"b\.png.*a link"),
        (beside_labels, "beside the folders"),
        (hostile_name, r"\\x1b\[31m\\n\.png.*not a readable picture"),
        (nothing, "no pictures"),
    ],
)
def test_a_folder_that_cannot_be_read_as_it_is_names_the_file(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(SourceInputError) as raised:
        read(folder(tmp_path / "x"))
    text = " ".join(str(raised.value).split())
    assert pd.Series([text]).str.contains(words).all(), text
    assert "\x1b" not in text


@pytest.mark.parametrize("make", [mixed_sizes, mixed_modes])
def test_a_stated_policy_makes_pictures_alike(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "x")
    frame = read(folder(tmp_path / "x", images=ImageOptions(resize=(4, 4), mode="L")))
    assert [cell.pixels.shape for cell in frame["image"]] == [(4, 4, 1)] * 2


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["a.png"], "b.png' has no row"),
        (["a.png", "b.png", "c.png"], "c.png' is named by the attributes and not there"),
        (["a.png", "b.png", "a.png"], "a.png' has several rows"),
    ],
)
def test_attributes_and_pictures_must_be_about_each_other(tmp_path: Path, files: list[str], words: str) -> None:
    for name in ("a.png", "b.png"):
        save(tmp_path / name, pixels_of(1))
    pd.DataFrame({"file": files, "age": range(len(files))}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(SourceInputError, match=words):
        read(folder(tmp_path, attributes=str(tmp_path / "t.csv")))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((3, 4, 4))}, "whole numbers of 8 or 16 bits"),
        ({"x": np.zeros((3, 4, 4, 2), dtype=np.uint8)}, "no channels"),
        ({"x": np.zeros((3, 4), dtype=np.uint8)}, "no array holds"),
        ({"x": np.zeros((3, 4, 4), np.uint8), "y": np.zeros((3, 4, 4), np.uint8)}, "several arrays hold"),
        ({"x": np.zeros((3, 4, 4), np.uint8), "y": np.zeros(4)}, "not one value for each"),
        ({"x": np.zeros((3, 4, 4), np.uint8), "y": np.array([{}, {}, {}])}, "not a readable"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(SourceInputError, match=words):
        read(SourceSpec(kind="arrays", arrays=str(tmp_path / "x.npz")))
