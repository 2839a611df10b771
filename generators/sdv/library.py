"""SDV as a guest: imported late, without its log, and with its global states, warnings and processes kept inside.

SDV takes two seconds to import, is licensed under the BUSL 1.1, opens a log in the user's home, draws from global
random states, warns with cells in its texts, and starts processes that get the rows through temporary files. Whoever
calls it does so within `alone`, on the module that `library` returns.
"""

import logging
import os
import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from generators.base import GeneratorInputError

log = logging.getLogger(__name__)


@contextmanager
def alone(seed: int) -> Iterator[None]:
    """Let a peer library run: global random states are seeded inside and restored after, warnings go to the log.

    This is the only place in the project that seeds global generators: SDV's `fit` takes no seed. What SDV would do in
    several processes it does in this one.
    """
    import torch  # noqa: PLC0415 - SDV brings it
    from joblib import parallel_config  # type: ignore[import-untyped]  # noqa: PLC0415 - scikit-learn brings it

    from generators.training.streams import isolated_rng  # noqa: PLC0415 - likewise

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saved to be restored
    device = torch.device("cpu")
    with (
        isolated_rng(seed, device),
        warnings.catch_warnings(record=True) as caught,
        parallel_config(backend="sequential"),
    ):
        warnings.simplefilter("always")
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002, TID251 - the library knows no other source; restored below
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
    for category in sorted({warning.category.__name__ for warning in caught}):
        log.info("SDV warned: %s", category)  # the texts may quote cells


_IMPORTING = threading.Lock()


def library(family: str) -> Any:
    """Return the module `sdv` with `sdv.single_table` and `sdv.metadata` imported, and no log file opened.

    On import SDV makes a folder for user data and logs into it. It asks platformdirs where, which asks XDG_DATA_HOME;
    a path under a device cannot be made, and SDV then goes without.

    Raises:
        GeneratorInputError: it is not installed, which `family` cannot do without.

    """
    with _IMPORTING, _environment("XDG_DATA_HOME", str(Path(os.devnull) / "none")):
        try:
            import sdv.metadata  # noqa: PLC0415 - slow, and optional on bare GPU machines
            import sdv.single_table  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise GeneratorInputError(
                f"{family}: a library is not installed", seen=error.name, remedy="pip install 'sdv>=2,<3'"
            ) from error
    for name in ("SingleTableSynthesizer", "MultiTableSynthesizer", "PARSynthesizer"):
        logging.getLogger(name).setLevel(logging.WARNING)  # their INFO records are dicts
    return sdv


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    old = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if old is None:
            del os.environ[name]
        else:
            os.environ[name] = old
