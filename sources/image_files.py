"""Raw frames of pictures: a folder of files, or arrays in `.npz` and `.npy`.

- `folder/cat/1.png`, `folder/dog/2.png`: the column `label` names the folder;
- `folder/1.png`, `folder/2.png` and `people.csv`: attributes, one row a picture, found by its file's name;
- `folder/images/1.png` and `folder/metadata.csv` (or .parquet), whose column `file_name` names the files: the layout of
  Hugging Face's `imagefolder`;
- `digits.npz` with `images` N H W (C) and `label` N: arrays of one length; those of one value a row are attributes.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sources.errors import SourceInputError, did_you_mean
from sources.images import SUFFIXES, Image, ImageOptions, decode, words_of

IMAGE = "image"
LABEL = "label"
FILE = "file"
FILE_COLUMN = "file_name"
METADATA = "metadata"
TABLES = (".csv", ".tsv", ".parquet")


def read_folder(folder: str | Path, options: ImageOptions, attributes: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the raw frame of the pictures in a local folder, in the order of their names.

    Without `attributes` the sub-folders, where there are any, are the column `label`; hidden files are left out.

    Args:
        folder: with files of `SUFFIXES`, at most one level of sub-folders.
        options: how pictures are read.
        attributes: raw, with a column `file` or `file_name` of paths inside the folder; each picture has one row.

    Raises:
        SourceInputError: no folder or no pictures in it, other files, links, a picture that cannot be read, pictures of
            different sizes, or attributes of other files than those in the folder.

    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise SourceInputError(f"{folder}: no such folder", remedy="check source.folder")
    names = _files(root, described=attributes is not None)
    if attributes is None:
        frame = pd.DataFrame({LABEL: [name.rpartition("/")[0] for name in names]}, dtype=object)
        folders = set(frame[LABEL])
        if "" in folders and len(folders) > 1:
            raise SourceInputError(
                f"{folder}: pictures beside the folders that name their labels",
                seen=f"{int((frame[LABEL] == '').sum()):,} of {len(names):,}",
                remedy="move them into a folder of their own, or name attributes: a table with a column file",
            )
        frame = frame if folders != {""} else frame.drop(columns=LABEL)
    else:
        frame, names = _with_attributes(attributes, names, str(folder))
    images = [decode(_bytes(root / name), options, place=repr(f"{folder}/{name}")) for name in _counted(names)]
    return with_images(frame, images, [repr(f"{folder}/{name}") for name in names])


def read_arrays(path: str | Path, *, images: str | None = None) -> pd.DataFrame:
    """Return the raw frame of the arrays in a `.npz` or `.npy` file; nothing pickled is ever loaded.

    Args:
        path: local file.
        images: the name of the pictures' array in a `.npz`, which may hold arrays of other lengths then; None takes
            the only one of three or four axes.

    Raises:
        SourceInputError: not such a file, no pictures, types that are no pixels, or arrays of different lengths.

    """
    arrays = dict(_arrays(Path(path).expanduser(), str(path)))
    pictures = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    if images is None and len(pictures) != 1:
        raise SourceInputError(
            f"{path}: {'no array holds' if not pictures else 'several arrays hold'} pictures (N × H × W, or with C)",
            seen=", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:8]),
            remedy="name one: source.images" if pictures else "give an array of three or four axes",
        )
    chosen = images or pictures[0]
    if chosen not in arrays:
        raise SourceInputError(
            f"{path}: source.images: no such array{did_you_mean(chosen, list(arrays))}",
            seen=chosen,
            remedy="arrays: " + ", ".join(arrays),
        )
    pixels = _as_pixels(arrays.pop(chosen), f"{path}: {chosen}")
    one_column = 2
    flat = {
        name: array[:, 0] if array.ndim == one_column and array.shape[1] == 1 else array
        for name, array in arrays.items()
    }
    strange = [name for name, array in flat.items() if array.ndim != 1 or len(array) != len(pixels)]
    if images is not None:
        strange = [name for name in strange if len(flat[name]) == len(pixels)]
    if strange:
        raise SourceInputError(
            f"{path}: {strange[0]}: not one value for each of {len(pixels):,} pictures",
            seen=flat[strange[0]].shape,
            remedy="leave this array out of the file, or write one value a picture",
        )
    attributes = {name: array for name, array in flat.items() if len(array) == len(pixels)}
    cells = pd.Series([Image(one) for one in pixels], dtype=object)
    return pd.DataFrame({IMAGE: cells, **attributes})


def with_images(frame: pd.DataFrame, images: Iterable[Image], places: list[str]) -> pd.DataFrame:
    """Return `frame` with the pictures as its first column; they share one array.

    Raises:
        SourceInputError: two pictures differ in size, channels or depth; names the first that does.

    """
    found = list(images)
    first = found[0].pixels
    for image, place in zip(found, places, strict=True):
        if (image.pixels.shape, image.pixels.dtype) != (first.shape, first.dtype):
            same_size = image.pixels.shape[:2] == first.shape[:2]
            raise SourceInputError(
                f"{place}: not like the pictures before it",
                seen=f"{words_of(image.pixels)}, while {places[0]} is {words_of(first)}",
                remedy="set source.mode: RGB (or L)" if same_size else "set source.resize: [height, width]",
            )
    result = frame.reset_index(drop=True)
    result.insert(0, _free(IMAGE, result), pd.Series(found, dtype=object))
    return result


def _free(name: str, frame: pd.DataFrame) -> str:
    return name if name not in frame.columns else _free(name + "_", frame)


def _counted(names: list[str]) -> list[str]:
    if not names:
        raise SourceInputError("the folder holds no pictures", seen="0 files", remedy="give " + ", ".join(SUFFIXES))
    return names


def _files(root: Path, *, described: bool) -> list[str]:
    """Return the pictures below `root` as posix paths, sorted.

    Hidden files are left out, and tables beside the pictures where attributes are given; any other file is refused.
    """
    names = []
    for place, folders, files in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            path = Path(place) / name
            relative = path.relative_to(root).as_posix()
            table = described and path.suffix.lower() in TABLES and place == str(root)
            if name.startswith(".") or table:
                continue
            if path.is_symlink() or not path.is_file():
                raise SourceInputError(f"{relative!r}: a link or a special file", remedy="put the picture itself there")
            if path.suffix.lower() not in SUFFIXES or relative.count("/") > 1:
                raise SourceInputError(
                    f"{relative!r}: not a picture in the folder or in a folder of a label",
                    remedy="move it away; pictures end in " + ", ".join(SUFFIXES),
                )
            names.append(relative)
    return sorted(names)


def _with_attributes(attributes: pd.DataFrame, names: list[str], place: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the attributes without their files, and the files in the order of the rows."""
    column = next((name for name in (FILE, FILE_COLUMN) if name in attributes.columns), None)
    if column is None:
        raise SourceInputError(
            f"{place}: the attributes have no column {FILE}{did_you_mean(FILE, list(attributes.columns))}",
            remedy=f"name the column that holds the pictures' paths {FILE}",
        )
    listed = [str(name) for name in attributes[column]]
    doubled = attributes[column].astype(str).duplicated(keep=False).to_numpy()
    for what, wrong in (
        ("has no row in the attributes", sorted(set(names) - set(listed))),
        ("is named by the attributes and not there", sorted(set(listed) - set(names))),
        ("has several rows in the attributes", sorted({listed[row] for row in np.flatnonzero(doubled)})),
    ):
        if wrong:
            raise SourceInputError(
                f"{place}: {wrong[0]!r} {what}", seen=f"{len(wrong):,} such files", remedy="give one row a picture"
            )
    return attributes.drop(columns=column), listed


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceInputError(
            f"{str(path)!r}: cannot be read", seen=error.strerror, remedy="check the file and its rights"
        ) from error


def _arrays(path: Path, name: str) -> Mapping[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        return {IMAGE: loaded} if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except FileNotFoundError as error:
        raise SourceInputError(f"{name}: no such file", remedy="check the path") from error
    except Exception as error:  # noqa: BLE001 - zip, header and pickle errors of many types; no array comes out of this file
        raise SourceInputError(
            f"{name}: not a readable .npz or .npy file of plain arrays",
            seen=type(error).__name__,
            remedy="write it by numpy.savez with arrays of numbers or texts",
        ) from None


def _as_pixels(array: np.ndarray, place: str) -> np.ndarray:
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (3, 4):
        raise SourceInputError(
            f"{place}: pixels are whole numbers of 8 or 16 bits, N × H × W or N × H × W × C",
            seen=f"{array.dtype}, {array.shape}",
            remedy="turn them into uint8 (0 to 255) or uint16",
        )
    pixels = array[..., None] if array.ndim == 3 else array  # noqa: PLR2004 - N H W
    if pixels.shape[3] not in (1, 3, 4) or 0 in pixels.shape:
        raise SourceInputError(
            f"{place}: the last axis is no channels (1, 3 or 4), or there is nothing",
            seen=array.shape,
            remedy="put channels last",
        )
    pixels.setflags(write=False)
    return pixels
