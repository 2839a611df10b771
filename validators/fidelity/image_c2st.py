"""C2ST of pictures: can they be told from real ones by their features, their pixels, or their nearest neighbour?

A linear discriminant with squares reads, each by themselves, the features of all networks made here, those of a user's
own, and the pixels, in folds: half is chance, one is perfect. The nearest-neighbour test (Schilling 1986; Lopez-Paz and
Oquab 2017) asks for each picture of the synthetic and the training rows together whether its nearest neighbour is of
its own side: over half where they differ, and under half where they are too good, because the neighbour of a copy is
its original on the other side.

What it cannot see: which pictures are wrong; fine texture of pictures over `MAX_SIDE` pixels (see `image_sharpness`).

Legend: N rows, F features.
"""

from collections.abc import Sequence

import numpy as np

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.features.column import RANDOM, SELF_SUPERVISED, PictureColumn
from validators.features.own_space import OWN
from validators.features.pictures import within
from validators.fidelity.image_rows import PictureRows, picture_rows, too_few_pictures
from validators.fidelity.trees import folds
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.neighbours import nearest
from validators.statistics.intervals import gate_ends
from validators.statistics.ranking import auc_variance, placements

KINDS = ("features, against holdout", "pixels, against holdout", "neighbours, against train")
BY_OWN = "own features, against holdout"
NUM_FOLDS = 5
MAX_PIXELS = 800
"""Numbers of a picture that the discriminant reads; larger ones are averaged down to it."""

RIDGE = 0.02
"""Added to the diagonal of the correlations; some hundred rows must do for two numbers a feature."""

FOLD_VARIANCE = 1.5
"""Folds share their training rows, which DeLong's variance does not know (as in `validators.fidelity.c2st`)."""

PAIR_VARIANCE = 2.0
"""Two rows that are each other's nearest count twice: at most twice the binomial variance."""


def image_c2st(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `image_c2st` by features, pixels and neighbours of each image column; nothing without pictures."""
    if evidence.features is None:
        return []
    of = evidence.features
    names = {
        column.name: [
            f"{kind}{'' if len(of.columns) == 1 else f' of {column.name!r}'}"
            for kind in (*KINDS, *([BY_OWN] if OWN in column.spaces else []))
        ]
        for column in of.columns
    }
    few = too_few_pictures(evidence, [("image_c2st", name) for own in names.values() for name in own])
    if few:
        return few
    rows = picture_rows(evidence, rng)
    most = min(len(rows.synthetic), len(rows.holdout))
    synthetic, real = rows.synthetic[:most], rows.holdout[:most]
    subjects = sum(map(len, names.values()))
    found = []
    for column in of.columns:
        by_features, by_pixels, by_neighbour, *by_own = names[column.name]
        by_both = {by_features: _features, by_pixels: _pixels}
        for subject, what in by_both.items():
            auc = cross_fitted_auc(what(column, of.synthetic, synthetic), what(column, of.holdout, real), rng)
            found.append(_told(evidence, rows, subject, auc, n=most, subjects=subjects))
        found.append(_neighbours(evidence, rows, column, by_neighbour, subjects))
        for subject in by_own:
            _, holdout, made = rows.parts(column, OWN)
            n = min(len(holdout), len(made))
            auc = cross_fitted_auc(made[:n], holdout[:n], rng)
            found.append(_told(evidence, rows, subject, auc, n=n, subjects=subjects))
    return found


def cross_fitted_auc(synthetic: np.ndarray, real: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return the AUC with which a discriminant tells rows (float N F) it has not seen, and its variance."""
    X = np.concatenate([synthetic, real]).astype(np.float32)
    centre, deviation = X.mean(axis=0), X.std(axis=0)
    X = (X - centre) / np.where(deviation > 0, deviation, 1.0)
    X = np.concatenate([X, np.square(X) - 1], axis=1)
    X /= np.maximum(np.sqrt(np.square(X).mean(axis=0)), 1e-6)
    y = np.repeat([1.0, -1.0], [len(synthetic), len(real)]).astype(np.float32)
    fold = np.concatenate([folds(len(synthetic), NUM_FOLDS, rng), folds(len(real), NUM_FOLDS, rng)])
    products = [(X[fold == one].T @ X[fold == one], X[fold == one].T @ y[fold == one]) for one in range(NUM_FOLDS)]
    whole, right = sum(one for one, _ in products), sum(one for _, one in products)
    aucs, variances = [], []
    for held, (own, own_right) in enumerate(products):
        outside = fold == held
        matrix = whole - own
        matrix[np.diag_indices_from(matrix)] += RIDGE * np.count_nonzero(~outside)
        scores = X[outside] @ np.linalg.solve(matrix, right - own_right)
        auc, of_positive, of_negative = placements(scores[y[outside] > 0], scores[y[outside] < 0])
        aucs.append(auc)
        variances.append(auc_variance(of_positive, of_negative))
    return float(np.mean(aucs)), FOLD_VARIANCE * float(np.sum(variances)) / NUM_FOLDS**2


def own_side_share(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the share of rows whose nearest other row is of their own sample, and its variance under one law.

    Args:
        first: float32 N F.
        second: float32 N F.

    """
    both = np.concatenate([first, second])
    _, winner = nearest(both, both, own_position=np.arange(len(both)))
    side = np.arange(len(both)) >= len(first)
    share = float((side[winner] == side).mean())
    # With n rows a side, one law gives (n - 1) / (2n - 1), which is a half but for one row.
    return share + 0.25 / len(first), PAIR_VARIANCE * 0.25 / len(both)


def _features(column: PictureColumn, dataset: Dataset, kept: np.ndarray) -> np.ndarray:
    """Return the features of all networks made here of the rows at `kept` (float32 N F)."""
    return np.concatenate([column.features(dataset, extractor)[kept] for extractor in column.extractors], axis=1)


def _pixels(column: PictureColumn, dataset: Dataset, kept: np.ndarray) -> np.ndarray:
    """Return at most about `MAX_PIXELS` numbers of each picture at `kept` (float32 N F)."""
    pixels = column.pixels_at(dataset, kept)
    return within(pixels, MAX_PIXELS).reshape(len(pixels), -1)


def _told(
    evidence: Evidence, rows: PictureRows, subject: str, auc: tuple[float, float], *, n: int, subjects: int
) -> Measurement:
    value, variance = auc
    se = float(np.sqrt(variance * rows.alike))
    low, high = gate_ends(value, se, policy=evidence.policy, name="image_c2st", reference=0.5, subjects=subjects)
    what = subject.split(",", maxsplit=1)[0]
    return judged(
        name="image_c2st",
        subject=subject,
        value=value,
        low=max(low, 0.0),
        high=min(high, 1.0),
        n=n,
        reading=(
            f"By its {what}, a synthetic picture is ranked above an unseen real one in {value:.1%} of pairs: one half "
            "would be chance, one is perfect." + rows.features.caveat
        ),
        policy=evidence.policy,
        reference=0.5,
        detail={"se": se},
    )


def _neighbours(
    evidence: Evidence, rows: PictureRows, column: PictureColumn, subject: str, subjects: int
) -> Measurement:
    extractor = SELF_SUPERVISED if SELF_SUPERVISED in column.extractors else RANDOM
    train, _, synthetic = rows.parts(column, extractor)
    value, variance = own_side_share(synthetic, train)
    se = float(np.sqrt(variance * rows.alike))
    low, high = gate_ends(value, se, policy=evidence.policy, name="image_c2st", reference=0.5, subjects=subjects)
    meaning = "under one half: the two are nearer than independent pictures are" if high < 0.5 else "one half is chance"  # noqa: PLR2004
    return judged(
        name="image_c2st",
        subject=subject,
        value=min(value, 1.0),
        low=max(low, 0.0),
        high=min(max(high, 0.0), 1.0),
        n=len(synthetic),
        reading=(
            f"Of synthetic and training pictures, {value:.1%} have one of their own side as nearest neighbour: "
            f"{meaning}." + rows.features.caveat
        ),
        policy=evidence.policy,
        reference=0.5,
        detail={"se": se, "extractor": extractor},
    )
