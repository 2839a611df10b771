"""A user's file is loaded as the very bytes that were checked, and nothing in it can act."""

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.validators.features.own_files import Summary, program, weights, written
from validators.errors import ValidatorInputError
from validators.features import weight_files
from validators.features.extractor import read_extractor
from validators.features.own import load
from validators.features.weight_files import check_weights, program_of, read_checked, tensors_of


class Writer(nn.Module):
    """Writes a file when it is asked."""

    def forward(self, pictures: Tensor) -> Tensor:
        """Return means."""
        torch.save(pictures, "written")
        return pictures.mean((2, 3))


def test_the_bytes_that_are_returned_are_those_that_were_hashed(tmp_path: Path) -> None:
    extractor = read_extractor(written(tmp_path, b"some bytes", "torchscript"))
    assert read_checked(extractor) == b"some bytes"
    (tmp_path / "own.bin").write_bytes(b"Some bytes")
    with pytest.raises(ValidatorInputError, match="sha256: the file is another one") as caught:
        read_checked(extractor)
    assert hashlib.sha256(b"Some bytes").hexdigest() in str(caught.value)


def test_a_file_changed_after_the_reading_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = read_extractor(written(tmp_path, program(Summary()), "torchscript"))
    whole = weight_files.read_checked

    def swapped(given: Any) -> bytes:
        data = whole(given)
        Path(given.path).write_bytes(program(Writer()))
        return data

    monkeypatch.setattr("validators.features.own.read_checked", swapped)
    found = load(extractor).run(torch.zeros(1, 3, 8, 8))
    assert found.shape == (1, 96)


def test_what_is_no_file_or_too_large_is_said(tmp_path: Path) -> None:
    given = written(tmp_path, b"0123456789", "torchscript")
    extractor = read_extractor(given)
    assert read_checked(extractor, most=10) == b"0123456789"
    with pytest.raises(ValidatorInputError, match="too large"):
        read_checked(extractor, most=9)
    for path, words in (("nowhere", "no such file"), (str(tmp_path), "cannot be read"), ("/dev/zero", "not a plain")):
        with pytest.raises(ValidatorInputError, match=words):
            read_checked(read_extractor({**given, "path": path}), most=9)


def test_weights_are_read_from_safetensors_and_from_state_dicts() -> None:
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    held = io.BytesIO()
    torch.save(tensors, held)
    for data in (weights(tensors), held.getvalue()):
        found = tensors_of(data)
        assert torch.equal(found["a"], tensors["a"])
        assert found["b"].dtype == torch.float32
        assert found["n"].item() == 3


class Acts:
    """Does something when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes a folder."""
        return os.mkdir, ("made",)


def test_nothing_is_unpickled_but_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    held = io.BytesIO()
    torch.save({"a": Acts()}, held)
    nested = io.BytesIO()
    torch.save({"teacher": {"a": torch.zeros(1)}}, nested)
    whole = io.BytesIO()
    torch.save(Summary(), whole)
    refused = [held.getvalue(), pickle.dumps({"a": Acts()}, protocol=2), whole.getvalue(), b"", b"\x80\x02", b"PK\x03"]
    for data in [*refused, b"\xff" * 64, program(Summary())]:
        with pytest.raises(ValidatorInputError, match=r"policy\.extractor"):
            tensors_of(data)
    with pytest.raises(ValidatorInputError, match="not a dictionary of tensors") as caught:
        tensors_of(nested.getvalue())
    assert "teacher" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_touches_files_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidatorInputError, match="operator that is not taken") as caught:
        program_of(program(Writer()))
    assert "torch.save" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert program_of(program(Summary()))(torch.zeros(2, 3, 9, 9)).shape == (2, 96)


def test_what_is_no_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("archive/code/net.py", "def forward(self): return 1")
    for data in (b"nothing", weights({"a": torch.zeros(1)}), plain.getvalue(), program(Summary())[:-200]):
        with pytest.raises(ValidatorInputError, match=r"policy\.extractor\.path"):
            program_of(data)
    monkeypatch.setattr(weight_files, "MOST_BYTES", 1000)
    with pytest.raises(ValidatorInputError, match="too large when unpacked"):
        program_of(program(Summary()))


def test_weights_must_have_every_name_and_shape_and_no_other() -> None:
    have = {"a": torch.zeros(2, 3), "fc.x": torch.zeros(1)}
    check_weights(have, {"a": (2, 3)}, spare=r"fc\.")
    for wanted, words in (
        ({"a": (2, 3), "b": (1,)}, "lack b"),
        ({"a": (3, 2)}, "another shape"),
        ({"a": (2, 3)}, "has no fc.x"),
    ):
        with pytest.raises(ValidatorInputError, match=words):
            check_weights(have, wanted)
