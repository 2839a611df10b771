"""Files of a user's own extractor, opened safely: the bytes that are loaded are the bytes whose SHA-256 was checked.

A file is read once, into memory. Weights are tensors by name, as safetensors or by `torch.load(weights_only=True)`,
which builds nothing but tensors; nothing else is unpickled. A TorchScript file is a program; its text is looked through
for operators that touch files or come from elsewhere before anything of it is loaded.
"""

import hashlib
import io
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from validators.errors import ValidatorInputError
from validators.features.extractor import Extractor

MOST_BYTES = 2 * 2**30
"""Of a file, packed and unpacked: a vision transformer of 300 million weights has 1.2 GiB."""

MOST_CODE_BYTES = 64 * 2**20
PLACE = "policy.extractor"
_FORBIDDEN = re.compile(
    rb"\btorch\s*\.\s*(save|load|from_file)\b|\bops\s*\.\s*(?!prim\b|torchvision\b)\w+\s*\.\s*\w+\s*\(|\bfork\s*\("
)
"""What the text of a TorchScript program must not hold: operators on files, of other libraries, and threads."""


def read_checked(extractor: Extractor, *, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of the extractor's file, which have its SHA-256.

    Raises:
        ValidatorInputError: there is no such file, it cannot be read, is too large, or is another one.

    """
    path = Path(extractor.path)
    try:
        with path.open("rb") as file:
            if not path.is_file():
                raise ValidatorInputError(f"{PLACE}.path: not a plain file", seen=extractor.path)
            data = file.read(most + 1)
    except FileNotFoundError:
        raise ValidatorInputError(
            f"{PLACE}.path: no such file", seen=extractor.path, remedy="give the path of the weights or the program"
        ) from None
    except OSError as error:
        raise ValidatorInputError(
            f"{PLACE}.path: cannot be read ({error.strerror})", seen=extractor.path, remedy="look at its permissions"
        ) from None
    if len(data) > most:
        raise ValidatorInputError(f"{PLACE}.path: too large", seen=extractor.path, remedy=f"at most {most:,} bytes")
    found = hashlib.sha256(data).hexdigest()
    if found != extractor.sha256:
        raise ValidatorInputError(
            f"{PLACE}.sha256: the file is another one",
            seen=f"{found} in {extractor.path}",
            remedy="give the file that you have tested, or its SHA-256 if this is the one",
        )
    return data


def tensors_of(data: bytes) -> dict[str, Tensor]:
    """Return the weights by name (float32 on the CPU) in a file's bytes.

    Raises:
        ValidatorInputError: it is neither safetensors nor a dictionary of tensors.

    """
    pickled = data[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04")
    if data[:2] == b"PK" and any(re.search(r"(^|/)(code/|constants\.pkl$)", name) for name in _check_unpacked(data)):
        raise ValidatorInputError(  # torch.load would hand it on to torch.jit.load
            f"{PLACE}.path: a TorchScript program, not weights", remedy="write kind: torchscript"
        )
    try:
        found: Any = (
            torch.load(io.BytesIO(data), map_location="cpu", weights_only=True) if pickled else load_safetensors(data)
        )
    except (UnpicklingError, SafetensorError, RuntimeError, ValueError, EOFError, KeyError, TypeError) as error:
        raise ValidatorInputError(
            f"{PLACE}.path: not a file of weights alone ({type(error).__name__})",
            remedy="give safetensors, or the dictionary that torch.save(model.state_dict(), ...) writes",
        ) from None
    if not isinstance(found, Mapping) or not found or not all(isinstance(one, Tensor) for one in found.values()):
        raise ValidatorInputError(
            f"{PLACE}.path: not a dictionary of tensors",
            seen=", ".join(map(str, list(found)[:5])) if isinstance(found, Mapping) else type(found).__name__,
            remedy="save the network's own state_dict() alone",
        )
    return {str(name): one.float() if one.is_floating_point() else one for name, one in found.items()}


def program_of(data: bytes) -> Callable[..., Any]:
    """Return the TorchScript program in a file's bytes, ready to be called.

    Raises:
        ValidatorInputError: it is none, or its text uses operators that are not taken.

    """
    _check_unpacked(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        texts = [one for one in archive.infolist() if re.search(r"(^|/)code/.*\.py$", one.filename)]
        if not texts or sum(one.file_size for one in texts) > MOST_CODE_BYTES:
            raise ValidatorInputError(
                f"{PLACE}.path: not a TorchScript program", remedy="give what torch.jit.save wrote, or another kind"
            )
        for text in texts:
            forbidden = _FORBIDDEN.search(archive.read(text))
            if forbidden:
                raise ValidatorInputError(
                    f"{PLACE}.path: the TorchScript program uses an operator that is not taken",
                    seen=forbidden.group().decode(),
                    remedy="a feature extractor computes with tensors alone; export it without this",
                )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its successor unpickles: see docs/adr/0029
            program: Any = torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ValidatorInputError(
            f"{PLACE}.path: not a TorchScript program that can be loaded ({type(error).__name__})",
            remedy="give what torch.jit.save wrote with a version of torch no newer than this one",
        ) from None
    program.eval()
    return program  # type: ignore[no-any-return]


def check_weights(weights: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], *, spare: str = "$^") -> None:
    """Refuse weights that lack a name, have another shape than wanted, or names that nothing uses.

    Args:
        weights: by name.
        wanted: name -> shape.
        spare: regular expression of the names that need not be used.

    Raises:
        ValidatorInputError: names the first such weight.

    """
    for name, shape in wanted.items():
        if name not in weights:
            raise ValidatorInputError(
                f"{PLACE}.kind: the weights lack {name}",
                seen=", ".join(list(weights)[:3]) + ", ...",
                remedy="give weights under the names that this kind has, or another kind",
            )
        if tuple(weights[name].shape) != shape:
            raise ValidatorInputError(
                f"{PLACE}.kind: {name} has another shape than this network needs",
                seen=f"{list(weights[name].shape)}, not {list(shape)}",
                remedy="give weights of this kind, or another kind",
            )
    unused = [name for name in weights if name not in wanted and not re.match(spare, name)]
    if unused:
        raise ValidatorInputError(
            f"{PLACE}.kind: this network has no {unused[0]}",
            seen=f"{len(unused)} such names",
            remedy="a network that differs from the standard one comes as torchscript",
        )


def _check_unpacked(data: bytes) -> list[str]:
    """Return the names in an archive; refuse one that is damaged, or grows beyond the limit when it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size, names = sum(one.file_size for one in archive.infolist()), archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ValidatorInputError(
            f"{PLACE}.path: damaged, or not a file of torch ({type(error).__name__})",
            remedy="get the file again, or choose the kind that it is of",
        ) from None
    if size > MOST_BYTES:
        raise ValidatorInputError(
            f"{PLACE}.path: too large when unpacked", seen=f"{size:,} bytes", remedy=f"at most {MOST_BYTES:,} bytes"
        )
    return names
