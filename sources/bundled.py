"""Example sets that come with statsmodels and scikit-learn; nothing is downloaded."""

import importlib
import pkgutil

import numpy as np
import pandas as pd

from sources.errors import SourceInputError, did_you_mean
from sources.images import Image

SKLEARN_SETS = ("breast_cancer", "diabetes", "digits", "digits_images", "iris", "linnerud", "wine")


def load(library: str, name: str) -> pd.DataFrame:
    """Return the set `name` of `library` (`statsmodels` or `sklearn`) as a raw frame.

    Raises:
        SourceInputError: there is no such set, or it cannot be loaded without a download.

    """
    return _statsmodels(name) if library == "statsmodels" else _sklearn(name)


def statsmodels_sets() -> tuple[str, ...]:
    """Return the names of the sets that come with statsmodels."""
    import statsmodels.datasets as sets  # noqa: PLC0415 - loaded when such a set is read

    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(sets.__path__) if module.ispkg and module.name != "tests")
    )


def _statsmodels(name: str) -> pd.DataFrame:
    known = statsmodels_sets()
    if name not in known:
        raise _unknown("statsmodels", name, known)
    module = importlib.import_module(f"statsmodels.datasets.{name}")
    frame = module.load_pandas().data
    if not isinstance(frame, pd.DataFrame):
        raise SourceInputError(f"source.dataset: {name} is no table", remedy="choose another set, such as fair")
    return frame.rename(columns=str).reset_index(drop=True)


def _sklearn(name: str) -> pd.DataFrame:
    if name not in SKLEARN_SETS:
        raise _unknown("sklearn", name, SKLEARN_SETS)
    import sklearn.datasets as sets  # noqa: PLC0415 - loaded when such a set is read

    if name == "digits_images":
        pixels, target = sets.load_digits(return_X_y=True)
        grey = np.rint(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)  # its 17 levels over the whole range
        cells = pd.Series([Image(one) for one in grey], dtype=object)
        return pd.DataFrame({"image": cells, "digit": [str(number) for number in target]})
    bunch = getattr(sets, f"load_{name}")(as_frame=True)
    frame: pd.DataFrame = bunch.frame.rename(columns=str)
    names = list(getattr(bunch, "target_names", []))
    if name in ("breast_cancer", "iris", "wine"):
        frame["target"] = [str(names[code]) for code in frame["target"]]
    return frame


def _unknown(library: str, name: str, known: tuple[str, ...]) -> SourceInputError:
    return SourceInputError(
        f"source.dataset: {library} bundles no such set{did_you_mean(name, known)}",
        seen=name,
        remedy="one of " + ", ".join(known),
    )
