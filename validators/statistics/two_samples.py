"""Distances between two samples of features: the kernel distance (KID) and the Fréchet distance (FID), with jackknives.

Legend: M, N rows, F features, G groups of rows for the jackknife.
"""

from dataclasses import dataclass

import numpy as np

from validators.statistics.bootstrap import jackknife_variance

NUM_GROUPS = 20
BLOCK_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class KernelDistance:
    """How far two samples are apart in the kernel's space.

    Args:
        kid: the unbiased estimate of the squared maximum mean discrepancy; 0 in the mean for two samples of one law.
        share: the same as a share of the second sample's own spread in that space, so that scales do not matter.
        se: the standard error of `share`.

    """

    kid: float
    share: float
    se: float


def kernel_distance(first: np.ndarray, second: np.ndarray) -> KernelDistance:
    """Return the kernel distance of two samples under the cubic kernel (x y / F + 1) ** 3.

    The estimator is unbiased (Gretton et al. 2012, lemma 6; as KID, Bińkowski et al. 2018). The jackknife leaves out
    one group of both samples at a time; for samples of one law, where the statistic is degenerate, it is too wide.

    Args:
        first: float M F, in random order.
        second: float N F, in random order.

    """
    own = [_own_sums(first), _own_sums(second)]
    cross = _group_sums(first, second)
    sizes = [np.bincount(np.arange(len(part)) % NUM_GROUPS, minlength=NUM_GROUPS) for part in (first, second)]
    kid = _mmd(own[0].sum(), own[1].sum(), cross.sum(), len(first), len(second))
    replicates = np.array([_mmd_without(own, cross, sizes, group) for group in range(NUM_GROUPS)])
    n = len(second)
    spread = float(_kernel_of(np.square(second).sum(axis=1), second.shape[1]).mean() - own[1].sum() / (n * (n - 1)))
    spread = max(spread, float(np.finfo(np.float32).eps))
    se = float(np.sqrt(jackknife_variance(replicates)))
    return KernelDistance(kid=float(kid), share=float(kid) / spread, se=se / spread)


@dataclass(frozen=True, kw_only=True)
class FrechetDistances:
    """Fréchet distances of two samples to a third at the same number of rows.

    Args:
        first, second: their distances, each too large by the same bias, which grows as rows become fewer.
        ratio: first by second.
        se: the standard error of `ratio`, by the delta method.
        rows: of each sample that a distance rests on.

    """

    first: float
    second: float
    ratio: float
    se: float
    rows: int


def frechet_distances(first: np.ndarray, second: np.ndarray, third: np.ndarray, *, rows: int) -> FrechetDistances:
    """Return the Fréchet distances of `first` and `second` to `third`, averaged over blocks of `rows` rows.

    It is |m - m'|**2 + tr(C + C' - 2 (C C')**(1/2)) of means and covariances (Heusel et al. 2017, equation 6).

    Args:
        first: float N F, in random order.
        second: likewise.
        third: what both are compared with.
        rows: of a block; fewer where the smallest sample has fewer.

    """
    smallest = min(len(first), len(second), len(third))
    rows = min(rows, smallest)
    num_blocks = smallest // rows
    whole, without = np.empty((2, num_blocks)), np.empty((2, num_blocks, NUM_GROUPS))
    for block in range(num_blocks):
        moments = [_Moments.of(part[block * rows : (block + 1) * rows]) for part in (first, second, third)]
        whole[:, block] = _distances(moments, None)
        for group in range(NUM_GROUPS):
            without[:, block, group] = _distances(moments, group)
    of_first, of_second = whole.mean(axis=1)
    # Leaving out a group shrinks the block and raises both distances alike: only deviations from their mean count.
    log_ratio = without[0] / of_first - without[1] / of_second
    variance = float(jackknife_variance(log_ratio).sum()) / num_blocks**2
    ratio = float(of_first / of_second) if of_second > 0 else 1.0 if of_first == 0 else np.finfo(np.float32).max
    return FrechetDistances(
        first=float(of_first),
        second=float(of_second),
        ratio=float(ratio),
        se=float(ratio * np.sqrt(variance)),
        rows=rows,
    )


def _kernel_of(product: np.ndarray, num_features: int) -> np.ndarray:
    return np.asarray((product / num_features + 1) ** 3)


def _group_sums(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the sum of the kernel over the pairs of each two groups (float64 G G); row i is of group i modulo G."""
    sums = np.zeros((NUM_GROUPS, NUM_GROUPS))
    columns = np.arange(len(second)) % NUM_GROUPS
    indicator = (columns[:, None] == np.arange(NUM_GROUPS)).astype(np.float32)
    for start in range(0, len(first), BLOCK_ROWS):
        block = first[start : start + BLOCK_ROWS]
        of_rows = (_kernel_of(block @ second.T, first.shape[1]) @ indicator).astype(np.float64)
        np.add.at(sums, (start + np.arange(len(block))) % NUM_GROUPS, of_rows)
    return sums


def _own_sums(rows: np.ndarray) -> np.ndarray:
    """Return the same for the pairs within one sample, no row with itself."""
    sums = _group_sums(rows, rows)
    itself = _kernel_of(np.square(rows).sum(axis=1, dtype=np.float64), rows.shape[1])
    sums[np.diag_indices(NUM_GROUPS)] -= np.bincount(np.arange(len(rows)) % NUM_GROUPS, itself, minlength=NUM_GROUPS)
    return sums


def _without(sums: np.ndarray, group: int) -> float:
    return float(sums.sum() - sums[group].sum() - sums[:, group].sum() + sums[group, group])


def _mmd_without(own: list[np.ndarray], cross: np.ndarray, sizes: list[np.ndarray], group: int) -> float:
    m, n = (int(size.sum() - size[group]) for size in sizes)
    return _mmd(_without(own[0], group), _without(own[1], group), _without(cross, group), m, n)


def _mmd(of_first: float, of_second: float, cross: float, m: int, n: int) -> float:
    return float(of_first / (m * (m - 1)) + of_second / (n * (n - 1)) - 2 * cross / (m * n))


@dataclass(frozen=True, kw_only=True)
class _Moments:
    """Numbers, sums and sums of products of each group of rows (G; G F; G F F)."""

    counts: np.ndarray
    sums: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "_Moments":
        groups = [rows[group::NUM_GROUPS].astype(np.float64) for group in range(NUM_GROUPS)]
        return cls(
            counts=np.array([len(group) for group in groups]),
            sums=np.stack([group.sum(axis=0) for group in groups]),
            products=np.stack([group.T @ group for group in groups]),
        )

    def law(self, without: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance of all rows, or of all but those of a group."""
        kept = np.arange(NUM_GROUPS) != (-1 if without is None else without)
        n, total = self.counts[kept].sum(), self.sums[kept].sum(axis=0)
        mean = total / n
        return mean, (self.products[kept].sum(axis=0) - n * np.outer(mean, mean)) / max(n - 1, 1)


def _distances(moments: list[_Moments], without: int | None) -> list[float]:
    """Return the distance of the first two to the third."""
    *others, third = [one.law(without) for one in moments]
    values, vectors = np.linalg.eigh(third[1])
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    found = []
    for mean, covariance in others:
        common = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance @ root), 0.0)).sum()
        gap = np.square(mean - third[0]).sum()
        found.append(max(float(gap + np.trace(covariance) + np.trace(third[1]) - 2 * common), 0.0))
    return found
