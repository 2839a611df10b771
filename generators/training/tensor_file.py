"""Tensors into a safetensors file; what the disk refuses is an `OSError`, as it is for every other file."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

SYSTEM_ERROR = re.compile(r"os error (\d+)")
"""How the library's messages end when the system refused a write."""


def save_tensors(tensors: Mapping[str, Tensor], path: Path, header: Mapping[str, str] | None = None) -> None:
    """Write `tensors` to `path`, copied where they share memory.

    Raises:
        OSError: the file could not be written, with the number that the system gave.

    """
    try:
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(own, path, None if header is None else dict(header))
    except SafetensorError as error:
        found = SYSTEM_ERROR.search(str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number), str(path)) from error
