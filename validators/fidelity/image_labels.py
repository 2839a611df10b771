"""Do pictures agree with their labels, and does a model that learnt them serve on real pictures?

`image_agreement`: a network that learnt labels from rows which are not judged reads the pictures. How often does it
read their own label, among synthetic and among unseen real pictures? `image_tstr`: a classifier learns the labels from
synthetic pictures, another from as many training pictures, and both are tested on unseen real ones (Esteban et al.
2017). It is a ridge regression on random functions of the pixels and of the features of a network that learnt nothing.

What they cannot see: labels that are numbers; classes too rare to learn; faults that keep the class visible.

Legend: N rows, F features, K classes, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.features.column import RANDOM, SUPERVISED, PictureColumn
from validators.features.pictures import within
from validators.fidelity.image_rows import MAX_ROWS, PictureRows, picture_rows, too_few_pictures
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.statistics.bootstrap import jackknife_variance
from validators.statistics.intervals import gate_ends

NUM_RANDOM = 1024
NUM_GROUPS = 8
RIDGE = 0.01
MAX_PIXELS = 400


@dataclass(frozen=True, kw_only=True)
class Look:
    """One labelled column as the pictures of one image column show it.

    Args:
        evidence, rows: the rows before the court and those of them that are compared.
        column: the pictures.
        name: of the labelled column.
        subject: how measurements call the pair.
        subjects: the number of pairs.

    """

    evidence: Evidence
    rows: PictureRows
    column: PictureColumn
    name: str
    subject: str
    subjects: int


def image_labels(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `image_agreement` and `image_tstr` for each labelled column; nothing without pictures or labels."""
    if evidence.features is None:
        return []
    of = evidence.features
    labelled = [c.name for c in evidence.schema.columns if c.kind in ("categorical", "boolean")]
    pairs = [(column, name) for column in of.columns for name in labelled]
    subjects = {pair: pair[1] if len(of.columns) == 1 else f"{pair[1]} of {pair[0].name!r}" for pair in pairs}
    names = [(name, subject) for subject in subjects.values() for name in ("image_agreement", "image_tstr")]
    few = too_few_pictures(evidence, names)
    if few:
        return few
    rows = picture_rows(evidence, rng)
    found: list[Measurement] = []
    for column in of.columns:
        own = [name for name in labelled if SUPERVISED in column.extractors and name in column.classes]
        learners = _learners(column, rows, rng) if own else None
        for name in labelled:
            subject = subjects[column, name]
            if name not in own or learners is None:
                found += _not_learnt(evidence, subject)
                continue
            look = Look(evidence=evidence, rows=rows, column=column, name=name, subject=subject, subjects=len(pairs))
            found += [_agreement(look), _tstr(look, learners)]
    return found


def agreement(column: PictureColumn, dataset: Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return whether the network reads the own label of each row whose label it knows, and which rows these are.

    Returns:
        agrees: bool N, False where the label is not known.
        known: bool N.

    """
    labels = column.labels(dataset, name)
    return column.probabilities(dataset, name).argmax(axis=1) == labels, labels >= 0


def _not_learnt(evidence: Evidence, subject: str) -> list[Measurement]:
    reading = f"Too few pictures have a label of {subject} for a network to learn it, or all have the same."
    return [
        undecided(name=name, subject=subject, n=0, reading=reading, policy=evidence.policy)
        for name in ("image_agreement", "image_tstr")
    ]


def _agreement(look: Look) -> Measurement:
    evidence, column, name, subject = look.evidence, look.column, look.name, look.subject
    of = look.rows.features
    sides = [agreement(column, part, name) for part in (of.synthetic, of.holdout, of.train)]
    hits = [agrees[known] for agrees, known in (sides[0], tuple(map(np.concatenate, zip(*sides[1:], strict=True))))]
    smallest = min(map(len, hits))
    if smallest < evidence.policy.min_rows:
        reading = f"{smallest:,} pictures of a part have a known label; nothing is concluded." + of.caveat
        return undecided(name="image_agreement", subject=subject, n=smallest, reading=reading, policy=evidence.policy)
    shares = [float(hit.mean()) for hit in hits]
    kept = [(hit.sum() + 0.5) / (len(hit) + 1) for hit in hits]
    variance = sum(share * (1 - share) / len(hit) for share, hit in zip(kept, hits, strict=True))
    value, se = shares[1] - shares[0], float(np.sqrt(variance * look.rows.alike))
    low, high = gate_ends(
        value, se, policy=evidence.policy, name="image_agreement", reference=0.0, subjects=look.subjects
    )
    return judged(
        name="image_agreement",
        subject=subject,
        value=value,
        low=low,
        high=high,
        n=len(hits[0]),
        reading=(
            f"A network that learnt {name!r} from other real pictures reads the own label of {shares[0]:.1%} of the "
            f"synthetic pictures, and of {shares[1]:.1%} of real ones that it has not seen." + of.caveat
        ),
        policy=evidence.policy,
        reference=0.0,
        detail={"synthetic": shares[0], "fresh": shares[1], "se": se},
    )


@dataclass(frozen=True, kw_only=True)
class Learners:
    """What the classifiers see of the pictures (float32 N F each).

    Args:
        train, synthetic: each learns one classifier.
        unseen: real rows which test both: of each dataset, their positions and what is seen of them.

    """

    train: np.ndarray
    synthetic: np.ndarray
    unseen: tuple[tuple[Dataset, np.ndarray, np.ndarray], ...]


def _learners(column: PictureColumn, rows: PictureRows, rng: np.random.Generator) -> Learners:
    """Return what the classifiers see: pixels, the features of the random network, random functions of both.

    The trained networks have seen the rows of `PictureColumn.learnt`, so none of their features is used, and these rows
    test the classifiers beside the holdout: in small sets they are nearly as many.
    """
    of = rows.features
    learnt = rng.permutation(len(column.learnt))[:MAX_ROWS]
    parts = [
        (of.train, rows.train),
        (of.synthetic, rows.synthetic),
        (of.holdout, rows.holdout),
        (column.learnt, learnt),
    ]
    seen: list[np.ndarray] = []
    weights: np.ndarray | None = None
    centre = deviation = np.zeros(0)
    for part, kept in parts:
        small = within(column.pixels_at(part, kept), MAX_PIXELS)
        X = np.concatenate([column.features(part, RANDOM)[kept], small.reshape(len(small), -1)], axis=1)
        if weights is None:  # the scale is that of train, whose rows are as fresh to those that test as any
            centre, deviation = X.mean(axis=0), X.std(axis=0)
            deviation = np.where(deviation > 0, deviation, 1.0)
            weights = (rng.normal(size=(X.shape[1], NUM_RANDOM)) / np.sqrt(X.shape[1])).astype(np.float32)
        X = ((X - centre) / deviation).astype(np.float32)
        seen.append(np.concatenate([X, np.maximum(X @ weights, 0.0), np.ones((len(X), 1), np.float32)], axis=1))
    tested = zip(parts[2:], seen[2:], strict=True)
    return Learners(train=seen[0], synthetic=seen[1], unseen=tuple((part, kept, X) for (part, kept), X in tested))


def _tstr(look: Look, learners: Learners) -> Measurement:
    """Return `image_tstr`; both classifiers are tested on the same rows, so that their difference is known best."""
    rows, column, name, subject = look.rows, look.column, look.name, look.subject
    of, policy = rows.features, look.evidence.policy

    def labelled(dataset: Dataset, kept: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y = column.labels(dataset, name)[kept]
        return X[y >= 0], y[y >= 0]

    train = labelled(of.train, rows.train, learners.train)
    synthetic = labelled(of.synthetic, rows.synthetic, learners.synthetic)
    unseen, known = map(np.concatenate, zip(*(labelled(*one) for one in learners.unseen), strict=True))
    num = min(len(train[1]), len(synthetic[1]))
    smallest = min(num, len(known))
    if smallest < policy.min_rows:
        reading = f"{smallest:,} pictures of a part have a known label; nothing is concluded." + of.caveat
        return undecided(name="image_tstr", subject=subject, n=smallest, reading=reading, policy=policy)
    num_classes = len(column.classes[name])
    hits, learning = [], 0.0
    for X, y in (train, synthetic):
        results = learnt_hits(X[:num], y[:num], unseen, known, num_classes)
        hits.append(results.mean(axis=0))
        learning += learning_variance(results)
    scores = [float(hit.mean()) for hit in hits]
    # Where nearly all are right, as if each side were wrong on one picture more than it was.
    variance = max(learning, 0.0) + float((hits[0] - hits[1]).var(ddof=1)) / len(known) + 2 / len(known) ** 2
    value, se = scores[0] - scores[1], float(np.sqrt(variance * look.rows.alike))
    low, high = gate_ends(value, se, policy=policy, name="image_tstr", reference=0.0, subjects=look.subjects)
    return judged(
        name="image_tstr",
        subject=subject,
        value=value,
        low=low,
        high=high,
        n=len(known),
        reading=(
            f"A classifier of {name!r} trained on synthetic pictures is right on {scores[1]:.1%} of unseen real ones; "
            f"trained on as many real ones, on {scores[0]:.1%}." + of.caveat
        ),
        policy=policy,
        reference=0.0,
        detail={"synthetic": scores[1], "real": scores[0], "rows_trained_on": num, "se": se},
    )


def learnt_hits(X: np.ndarray, y: np.ndarray, test_X: np.ndarray, test_y: np.ndarray, num_classes: int) -> np.ndarray:
    """Return which test rows are classified rightly after learning without each of some groups of rows (bool G N)."""
    one_hot = np.eye(num_classes, dtype=np.float32)[y]
    group = np.arange(len(y)) % NUM_GROUPS
    products = [
        (X[group == one].T @ X[group == one], X[group == one].T @ one_hot[group == one]) for one in range(NUM_GROUPS)
    ]
    whole, right = sum(one for one, _ in products), sum(one for _, one in products)
    found = []
    for left_out, (own, own_right) in enumerate(products):
        matrix = whole - own
        matrix[np.diag_indices_from(matrix)] += RIDGE * np.count_nonzero(group != left_out)
        found.append((test_X @ np.linalg.solve(matrix, right - own_right)).argmax(axis=1) == test_y)
    return np.array(found)


def learning_variance(hits: np.ndarray) -> float:
    """Return the variance that other rows to learn from would give the share of all pictures classified rightly.

    The jackknife over groups, of the part that pictures have in common: which single test rows a classifier is right on
    differs between any two, and the paired difference over these rows holds that already. The analysis of variance of
    rows and columns (Fisher 1925) takes the two apart. Free of bias, and so below 0 at times.

    Args:
        hits: which test rows are classified rightly without each of the groups (bool G N).

    """
    groups, num = hits.shape
    shares = hits.mean(axis=1)
    residual = hits - shares[:, None] - hits.mean(axis=0) + shares.mean()
    single = float(np.square(residual).sum()) / ((groups - 1) * (num - 1)) / num  # of a share, by chance of single rows
    factor = (groups - 1) ** 2 / groups  # of the variance of the shares, in the jackknife
    whole: float = jackknife_variance(shares).item()
    return float(whole - factor * single)
