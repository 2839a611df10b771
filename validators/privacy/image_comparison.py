"""The real pictures of one column held against the synthetic ones: which of them are matched closer than by chance."""

# N real pictures, M synthetic ones, K candidates of each real one, C channels, H height, W width

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.privacy.excess_matches import (
    THRESHOLDS,
    Tail,
    nearest_of_entities,
    tail,
    tolerant_share,
)
from validators.privacy.image_law import EXPECTED, TINY, UNKNOWN, Law, law_of
from validators.privacy.image_search import Found, Spaces, nearest_moved, nearest_still, search, spaces_of
from validators.privacy.image_views import canonical
from validators.privacy.real_rows import RealRows

WITNESS = 0.1
"""The weight of the contrasts with real pictures where the law of distances speaks for copies as well. Fresh pictures
of a collection full of natural duplicates are then refused with the limit's error over this at most for two contrasts,
half more for three; they overlap, so it is less."""

CLOSEST = 0.01
"""The share of `EXPECTED` within which a match is closest. Copies that were not moved come so near, natural duplicates
(another exposure, another print) mostly do not, so a few copies show among many of those."""

MAX_PAIRS = 4e8
"""About a minute of two cores; beyond it train and fresh pictures are thinned alike, as `image_leak` then tells."""

NATURAL_CANDIDATES = 4
CLASSES = 2


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What the comparison of N real pictures with M synthetic ones found.

    Args:
        real: the rows, train first.
        rows: their positions among all real rows (int N).
        pictures, synthetic: float32 N C H W, float32 M C H W.
        spaces: of descriptors.
        scale: how far each real picture is from the nearest others, the geometric mean (float N).
        found: the nearest synthetic pictures; distances are in units of `scale`, for chance comes nearer where pictures
            lie dense (the digit 1).
        still, moved: the laws of both distances.
        natural: pairs of real pictures that are as near as a match, as they stand or mirrored.
        natural_closest: those of them that are as near as the closest matches.
        natural_any: training pictures that a fresh one matches in any way, moved too.

    """

    real: RealRows
    rows: np.ndarray
    pictures: np.ndarray
    synthetic: np.ndarray
    spaces: Spaces
    scale: np.ndarray
    found: Found
    still: Law
    moved: Law
    natural: int
    natural_closest: int
    natural_any: int

    @property
    def rank(self) -> np.ndarray:
        """Return each real picture's rank among all by its nearer distance, in (0, 1] (float N)."""
        return ranked(self.found.still, self.found.moved)

    @property
    def expected(self) -> np.ndarray:
        """Return how many training pictures chance would bring as near as each real picture is (float N)."""
        return expected_of(self, self.found.still, self.found.moved)

    def matched_synthetic(self) -> np.ndarray:
        """Return the positions of the synthetic pictures that match a training picture (int, increasing)."""
        train, found = self.real.is_train, self.found
        still = found.still_candidates[train][is_match(self.still, found.still_pairs[train])]
        moved = found.moved_candidate[train][is_match(self.moved, found.moved[train])]
        return np.unique(np.concatenate([still, moved]))


@dataclass(frozen=True, kw_only=True)
class Evidences:
    """The p-values of a comparison, and what they rest on.

    Args:
        p: of all together.
        tail: of the tail test, more of train than of the fresh ones, in the class where it says more.
        by_law, by_nature: of more matches than the law of distances has, and than real pictures have among themselves.
        train, fresh: real pictures (entities) that are matched.
        expected: of train by chance.
        natural: pairs of fresh and synthetic pictures, of two real ones as they stand, and of fresh ones and those of
            train if one is moved, that are as near as a match.

    """

    p: float
    tail: Tail
    by_law: float
    by_nature: float
    train: int
    fresh: int
    expected: float
    natural: int


def compared(evidence: Evidence, real: RealRows, column: str, rng: np.random.Generator) -> Comparison:
    """Return the pictures of one column held against each other."""
    parts = [part for part in (evidence.train, evidence.holdout, evidence.reference) if part is not None]
    pictures = np.concatenate([canonical(pictures_of(part, column)) for part in parts])
    synthetic = canonical(pictures_of(evidence.synthetic, column))
    kept, rows = min(1.0, MAX_PAIRS / len(pictures) / len(synthetic)), np.arange(len(pictures))
    if kept < 1:
        rows = np.flatnonzero(rng.random(len(pictures)) < kept)
        real, pictures = real.take(rows), pictures[rows]
    return compared_pictures(pictures, synthetic, real, rows)


def compared_pictures(pictures: np.ndarray, synthetic: np.ndarray, real: RealRows, rows: np.ndarray) -> Comparison:
    """Return canonical pictures (float32 N C H W, float32 M C H W) held against each other; `real`, `rows` are of N."""
    spaces = spaces_of(pictures)
    num = min(NATURAL_CANDIDATES, len(pictures) - 1)
    others = nearest_still(pictures, pictures, spaces, num, own_position=np.arange(len(pictures)))
    scale = np.exp(np.log(np.maximum(others[1], TINY)).mean(axis=1))
    found = search(pictures, synthetic, spaces)
    found = replace(
        found,
        still=found.still / scale,
        moved=found.moved / scale,
        still_pairs=found.still_pairs / scale[:, None],
    )
    still, moved = law_of(found.still, real.is_train), law_of(found.moved, real.is_train)
    gap, train, fresh = others[1] / scale[:, None], np.flatnonzero(real.is_train), np.flatnonzero(~real.is_train)
    fresh_like = (is_match(still, gap[train]) & ~real.is_train[others[0][train]]).any(axis=1)
    moved_like = is_match(moved, nearest_moved(pictures[train], pictures[fresh], spaces)[0] / scale[train])
    return Comparison(
        real=real,
        rows=rows,
        pictures=pictures,
        synthetic=synthetic,
        spaces=spaces,
        scale=scale,
        found=found,
        still=still,
        moved=moved,
        natural=_natural(others[0], is_match(still, gap), real),
        natural_closest=_natural(others[0], is_match(still, gap, CLOSEST), real),
        natural_any=int((fresh_like | moved_like).sum()),
    )


def pictures_of(dataset: Dataset, column: str) -> np.ndarray:
    """Return the pictures of the rows, uint8 or uint16 N H W C."""
    return np.asarray(dataset.media[column][dataset.frame[column].to_numpy(dtype=np.int64)])


def ranked(still: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Return the smaller of the ranks that both distances (float N) have among all real pictures, in (0, 1]."""
    return np.asarray(np.minimum(*(stats.rankdata(part, method="max") / len(part) for part in (still, moved))))


def expected_of(comparison: Comparison, still: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Return how many training pictures chance would bring within such distances (float N) in either class."""
    return np.asarray(CLASSES * np.minimum(comparison.still.expected(still), comparison.moved.expected(moved)))


def is_match(law: Law, distance: np.ndarray, share: float = 1.0) -> np.ndarray:
    """Return which distances are nearer than chance has it, or has it in so small a share of such comparisons."""
    return np.asarray(CLASSES * law.expected(distance) <= share * EXPECTED)


def weighed(comparison: Comparison, still: np.ndarray, moved: np.ndarray) -> Evidences:
    """Return the p-values for distances of the real pictures (float N each): the comparison's own, or with more copies.

    Entities count once, with the nearest of their pictures.
    """
    real = comparison.real
    own, either = CLASSES * comparison.still.expected(still), expected_of(comparison, still, moved)
    (still, moved, own, either), is_train = nearest_of_entities(
        [still, moved, own, either], real.is_train, real.entities
    )
    first = min((tail(distance, is_train, THRESHOLDS) for distance in (still, moved)), key=lambda one: one.p)
    train, fresh = (int((either[part] <= EXPECTED).sum()) for part in (is_train, ~is_train))
    still_train, still_fresh = (int((own[part] <= EXPECTED).sum()) for part in (is_train, ~is_train))
    near_train, near_fresh = (int((own[part] <= CLOSEST * EXPECTED).sum()) for part in (is_train, ~is_train))
    by_law = float(stats.poisson.sf(train - 1, EXPECTED))
    natural, natural_any = comparison.natural + still_fresh, comparison.natural_any + fresh
    closest = (near_train, comparison.natural_closest + near_fresh)
    by_nature = float(_by_nature(comparison, (still_train, natural), closest, (train, natural_any)))
    return Evidences(
        p=together(CLASSES * first.p, by_law, by_nature),
        tail=first,
        by_law=by_law,
        by_nature=by_nature,
        train=train,
        fresh=fresh,
        expected=(train + fresh) * float(is_train.mean()),
        natural=natural + natural_any - still_fresh,
    )


def together(first: float, by_law: float, by_nature: float) -> float:
    """Return one p-value: the first alone refuses, or the law with the contrast to real pictures as its witness."""
    return min(1.0, 2 * min(first, max(by_law, WITNESS * by_nature)))


def fewest_seen(comparison: Comparison, level: float) -> int | None:
    """Return the fewest matches of train for which `weighed` gives less than `level`, whatever the tail test says.

    None where the law of still pictures is not known, or 10,000 are too few.
    """
    if comparison.still is UNKNOWN:
        return None
    counts = np.arange(1, 10_001)
    fresh = ~comparison.real.is_train
    either = expected_of(comparison, comparison.found.still, comparison.found.moved)
    natural = comparison.natural + int(is_match(comparison.still, comparison.found.still[fresh]).sum())
    closest = comparison.natural_closest + int(is_match(comparison.still, comparison.found.still[fresh], CLOSEST).sum())
    natural_any = comparison.natural_any + int((either[fresh] <= EXPECTED).sum())
    by_law = stats.poisson.sf(counts - 1, EXPECTED)
    by_nature = _by_nature(comparison, (counts, natural), (counts, closest), (counts, natural_any))
    refused = 2 * np.maximum(by_law, WITNESS * by_nature) < level
    return int(counts[refused.argmax()]) if refused.any() else None


def _by_nature(
    comparison: Comparison,
    still: tuple[np.ndarray | int, int],
    closest: tuple[np.ndarray | int, int],
    either: tuple[np.ndarray | int, int],
) -> np.ndarray:
    """Return how probable so many matches of train are where real pictures match each other as often.

    Args:
        comparison: whose pictures they are.
        still: matches of train that were not moved, and such pairs of fresh and synthetic or of two real pictures.
        closest: those of both that are closest.
        either: matches of train of any kind, and such pairs of fresh pictures with synthetic ones or those of train.

    Returns:
        The smallest upper tail of the three contrasts (float ...).

    """
    num_train, num_synthetic = int(comparison.real.is_train.sum()), len(comparison.synthetic)
    num_real = len(comparison.pictures)
    num_fresh = num_real - num_train
    judged, real_pairs = num_train * num_synthetic, num_fresh * num_synthetic + math.comb(num_real, 2)
    others = (real_pairs, real_pairs, num_fresh * num_synthetic + num_fresh * num_train)
    tails = [
        stats.binom.sf(np.asarray(count) - 1, np.asarray(count) + natural, tolerant_share(judged, pairs))
        for (count, natural), pairs in zip((still, closest, either), others, strict=True)
    ]
    return np.asarray(np.min(tails, axis=0))


def _natural(candidates: np.ndarray, near: np.ndarray, real: RealRows) -> int:
    """Return the number of pairs of real pictures, of different entities, that are near (bool N K of candidates)."""
    if real.entities is not None:
        near = near & (real.entities[candidates] != real.entities[:, None])
    rows, columns = np.nonzero(near)
    ends = np.sort(np.stack([rows, candidates[rows, columns]], axis=1), axis=1)
    return len(np.unique(ends, axis=0))
