"""What the report draws, as plain numbers: columns, pairs, a map of rows, groups, distances to the nearest row.

`pictures` shows real beside synthetic rows and is private. `Pictures.public` keeps what the synthetic rows alone show,
coarsely: nothing in it was read from a real row but how well pairs of columns agree, in whole percents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from sources.randomness import stream
from sources.schema import Column
from validators.bias.groups import groupings, real_frame
from validators.bias.outcome import outcomes_of
from validators.encoding import Part, encode
from validators.evidence import Evidence
from validators.picture_grids import GridPicture, flat_pixels, grids
from validators.picture_pairs import PairsPicture, nearest_pairs
from validators.privacy.neighbours import as_labels, as_numbers, embed
from validators.report import Report
from validators.statistics.intervals import wilson

Range = tuple[float, float, float]
"""A share with the ends of its 95 % interval."""

NUM_BINS = 24
MOST_LABELS = 12
MOST_PAIR_COLUMNS = 40
MOST_POINTS = 1500
MOST_ROWS = 20_000
"""Rows that pairs are compared on; beyond it the noise is below what a picture shows."""

PUBLIC_LEAST_ROWS = 10
"""Synthetic rows that must hold a label or be in a group before the public sees it."""

OTHER, MISSING = "other", "missing"
TAIL = 0.005
DAYS_PER_YEAR, MICROSECONDS_PER_DAY = 365.2425, 86_400e6


@dataclass(frozen=True, kw_only=True)
class ColumnPicture:
    """Shares of one column in common bins.

    Args:
        name: of the column.
        labels: of B categories, or None for a number.
        edges: B + 1 increasing edges of a number's bins (moments in years), or None; what lies outside is in the
            first or last bin.
        synthetic, real: B shares each, of the rows; `real` is None in public. Missing numbers are in no bin.
        rows: synthetic rows in each bin.
        distance: total variation of the two, or None in public.
        public_edges, public_synthetic: bins of a number from rounded quantiles of the synthetic rows alone.

    """

    name: str
    labels: tuple[str, ...] | None
    edges: tuple[float, ...] | None
    synthetic: tuple[float, ...]
    real: tuple[float, ...] | None
    rows: tuple[int, ...]
    distance: float | None
    public_edges: tuple[float, ...] | None = None
    public_synthetic: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PairPicture:
    """How well pairs of columns agree: 1 - total variation of their joint cells.

    Args:
        names: D columns.
        accuracy: D x D, synthetic against train; None on the diagonal.
        ceiling: the same for fresh real rows, as many of them; None where there are none.
        shortfall: ceiling less accuracy, at least 0; accuracy below 1 where there is no ceiling.

    """

    names: tuple[str, ...]
    accuracy: tuple[tuple[float | None, ...], ...]
    ceiling: tuple[tuple[float | None, ...], ...] | None
    shortfall: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class ProjectionPicture:
    """Rows on the plane in which the real ones spread most: principal axes of `privacy.neighbours.embed`, or of pixels.

    Args:
        real, synthetic: places of rows.
        of: what was laid out: columns that have distances, or pixels.

    """

    real: tuple[tuple[float, float], ...]
    synthetic: tuple[tuple[float, float], ...]
    of: Literal["rows", "pictures"] = "rows"


@dataclass(frozen=True, kw_only=True)
class GroupPicture:
    """The groups of one protected column.

    Args:
        column: its name.
        labels: of the G groups.
        rows: synthetic rows of each.
        share, real_share: part of the rows; `real_share` is None in public.
        outcome: what `rate` is a rate of; None where the target has no single rate.
        rate, real_rate: rate of the outcome in each group (None where no row is), or None where there is no rate.

    """

    column: str
    labels: tuple[str, ...]
    rows: tuple[int, ...]
    share: tuple[Range, ...]
    real_share: tuple[Range, ...] | None
    outcome: str | None
    rate: tuple[Range | None, ...] | None
    real_rate: tuple[Range | None, ...] | None


@dataclass(frozen=True, kw_only=True)
class DistancePicture:
    """Shares of train and fresh rows by the distance to their nearest synthetic row (B each, B + 1 edges)."""

    edges: tuple[float, ...]
    train: tuple[float, ...]
    fresh: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class AttackPicture:
    """The ROC of the best membership attack: share of strangers accused, share of members found (increasing)."""

    accused: tuple[float, ...]
    found: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Everything the report draws; a part is None where there is nothing to draw."""

    columns: tuple[ColumnPicture, ...]
    pairs: PairPicture | None
    projection: ProjectionPicture | None
    groups: tuple[GroupPicture, ...]
    distances: DistancePicture | None
    attack: AttackPicture | None = None
    grids: tuple[GridPicture, ...] = ()
    picture_pairs: tuple[PairsPicture, ...] = ()

    def public(self) -> "Pictures":
        """Return what the public may see; see the text of this module."""
        return Pictures(
            columns=tuple(_public_column(one) for one in self.columns),
            pairs=None if self.pairs is None else _public_pairs(self.pairs),
            projection=None,
            groups=tuple(_public_groups(one) for one in self.groups),
            distances=None,
            grids=tuple(one.public(least_rows=PUBLIC_LEAST_ROWS) for one in self.grids),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def pictures(evidence: Evidence, report: Report, seed: int) -> Pictures:
    """Return what the private report draws, columns with the largest difference first.

    Args:
        evidence: the rows; empty parts make empty pictures.
        report: of the judgement; the distances are taken from it.
        seed: draws the rows of the map and of the pairs.

    """
    real, synthetic = real_frame(evidence), evidence.synthetic.frame
    drawn = [_column(column, real[column.name], synthetic[column.name]) for column in evidence.schema.columns]
    columns = sorted((one for one in drawn if one is not None), key=lambda one: -(one.distance or 0.0))
    enough = len(synthetic) > 0 and len(real) > 0
    return Pictures(
        columns=tuple(columns),
        pairs=_pairs(evidence, seed) if enough else None,
        projection=_projection(evidence, real, seed) if enough else None,
        groups=tuple(_groups(evidence)) if enough else (),
        distances=_distances(report),
        attack=_attack(report),
        grids=grids(evidence, seed),
        picture_pairs=nearest_pairs(evidence, seed),
    )


def _column(column: Column, real: pd.Series, synthetic: pd.Series) -> ColumnPicture | None:
    if column.kind in ("categorical", "boolean"):
        return _labelled(column.name, as_labels(real), as_labels(synthetic))
    if column.kind in ("numeric", "datetime"):
        numbers = [as_numbers(cells) for cells in (real, synthetic)]
        if column.kind == "datetime":
            numbers = [1970 + part / MICROSECONDS_PER_DAY / DAYS_PER_YEAR for part in numbers]
        return _numeric(column, *numbers)
    return None


def _labelled(name: str, real: pd.Series, synthetic: pd.Series) -> ColumnPicture:
    counts = [part.fillna(MISSING).value_counts() for part in (real, synthetic)]
    most = counts[0].add(counts[1], fill_value=0)
    order = sorted(most.index, key=lambda label: (-most[label], label))
    labels = order[:MOST_LABELS]
    table = np.array([[int(count.get(label, 0)) for label in labels] for count in counts])
    if len(order) > len(labels):
        labels = [*labels, OTHER]
        table = np.column_stack([table, [len(real), len(synthetic)] - table.sum(axis=1)])
    return _picture(name, table, sizes=(len(real), len(synthetic)), labels=tuple(labels))


def _numeric(column: Column, real: np.ndarray, synthetic: np.ndarray) -> ColumnPicture | None:
    known = [part[~np.isnan(part)] for part in (real, synthetic)]
    both = np.concatenate(known)
    if not len(both):
        return None
    edges = _edges(both, whole=column.integer and column.kind == "numeric")
    table = np.array([_histogram(part, edges) for part in known])
    picture = _picture(column.name, table, sizes=(len(real), len(synthetic)), edges=tuple(edges.tolist()))
    own = known[1]
    if len(own) < PUBLIC_LEAST_ROWS:
        return picture
    public = _public_edges(own, whole=column.integer and column.kind == "numeric")
    shares = _histogram(own, public) / len(synthetic)
    return replace(
        picture,
        public_edges=tuple(round(float(edge), 10) for edge in public),
        public_synthetic=tuple(round(float(share), 2) for share in shares),
    )


def _edges(values: np.ndarray, *, whole: bool) -> np.ndarray:
    """Return edges over the bulk of `values`: around each whole number where these are few, else equally wide."""
    low, high = (float(end) for end in np.quantile(values, (TAIL, 1 - TAIL), method="inverted_cdf"))
    if whole and high - low < NUM_BINS:
        return np.arange(low - 0.5, high + 1)
    return np.linspace(low, high, NUM_BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])


def _public_edges(values: np.ndarray, *, whole: bool) -> np.ndarray:
    """Return at most 12 bins between rounded quantiles of synthetic values; a whole number is never cut in two."""
    most = NUM_BINS // 2
    low, high = (_rounded(float(end)) for end in np.quantile(values, (0.02, 0.98)))
    if whole:
        step = max(1, int(np.ceil((high - low + 1) / most)))
        return np.arange(np.rint(low) - 0.5, max(high, low + step) + step, step)[: most + 2]
    return np.linspace(low, high, most + 1) if high > low else np.array([low - 0.5, low + 0.5])


def _histogram(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(values.clip(edges[0], edges[-1]), edges)[0]


def _picture(
    name: str,
    table: np.ndarray,
    *,
    sizes: tuple[int, int],
    labels: tuple[str, ...] | None = None,
    edges: tuple[float, ...] | None = None,
) -> ColumnPicture:
    """Return the picture of counts (2 B: real, synthetic); the missing cells, in no bin, are a bin of the distance."""
    real, synthetic = (row / max(size, 1) for row, size in zip(table, sizes, strict=True))
    gap = np.abs(real - synthetic).sum() + abs(real.sum() - synthetic.sum())
    return ColumnPicture(
        name=name,
        labels=labels,
        edges=edges,
        synthetic=tuple(synthetic.tolist()),
        real=tuple(real.tolist()),
        rows=tuple(int(count) for count in table[1]),
        distance=float(gap / 2),
    )


def _pairs(evidence: Evidence, seed: int) -> PairPicture | None:
    encoded = encode(evidence)
    kept = list(range(len(encoded.columns)))[:MOST_PAIR_COLUMNS]
    if len(kept) < 2:  # noqa: PLR2004 - a pair
        return None
    parts = [part for part in (encoded.synthetic, encoded.holdout) if part is not None and len(part)]
    n = min(MOST_ROWS, *(len(part) for part in parts), len(encoded.train))
    drawn = [_some(part, n, stream(seed, "pictures", "pairs", i)) for i, part in enumerate([*parts, encoded.train])]
    *others, train = drawn
    sizes = encoded.num_cells
    tables = [_accuracies(part, train, sizes, kept) for part in others]
    accuracy, ceiling = tables[0], tables[1] if len(tables) > 1 else None
    best = np.ones_like(accuracy) if ceiling is None else ceiling
    return PairPicture(
        names=tuple(encoded.columns[i].name for i in kept),
        accuracy=_plain(accuracy),
        ceiling=None if ceiling is None else _plain(ceiling),
        shortfall=_plain(np.maximum(best - accuracy, 0.0)),
    )


def _accuracies(part: Part, train: Part, sizes: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    """Return 1 - total variation of the joint cells of each pair (float D D, NaN on the diagonal)."""
    table = np.full((len(kept), len(kept)), np.nan)
    for (a, i), (b, j) in combinations(enumerate(kept), 2):
        shares = [
            np.bincount(side.cells[:, i] * sizes[j] + side.cells[:, j], minlength=int(sizes[i] * sizes[j])) / len(side)
            for side in (part, train)
        ]
        table[a, b] = table[b, a] = 1 - np.abs(shares[0] - shares[1]).sum() / 2
    return table


def _some(part: Part, n: int, rng: np.random.Generator) -> Part:
    return part.take(np.sort(rng.choice(len(part), size=n, replace=False)))


def _plain(table: np.ndarray) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(None if np.isnan(cell) else float(cell) for cell in row) for row in table)


def _projection(evidence: Evidence, real: pd.DataFrame, seed: int) -> ProjectionPicture | None:
    rng = stream(seed, "pictures", "projection")
    if any(column.kind == "image" for column in evidence.schema.columns):
        pixels = [flat_pixels(part, MOST_POINTS, rng) for part in (evidence.train, evidence.synthetic)]
        return _plane(pixels[0], pixels[1], of="pictures")
    frames = [
        frame.iloc[np.sort(rng.choice(len(frame), size=min(MOST_POINTS, len(frame)), replace=False))]
        for frame in (real, evidence.synthetic.frame)
    ]
    points, candidates = embed(frames, evidence.schema, scale=(0,))
    return _plane(points, candidates, of="rows")


def _plane(points: np.ndarray, candidates: np.ndarray, *, of: Literal["rows", "pictures"]) -> ProjectionPicture | None:
    """Return both sides (float N D, float M D) on the two axes along which `points` spread most."""
    if points.shape[1] < 2 or len(points) < 2:  # noqa: PLR2004 - a plane
        return None
    centre = points.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(points - centre, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2].sum(axis=1, keepdims=True) + 1e-12)
    flat = [(part - centre) @ axes.T for part in (points, candidates)]
    return ProjectionPicture(real=_points(flat[0]), synthetic=_points(flat[1]), of=of)


def _points(flat: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((round(float(x), 4), round(float(y), 4)) for x, y in flat)


def _groups(evidence: Evidence) -> list[GroupPicture]:
    target = evidence.schema.target
    outcomes = [] if target is None else outcomes_of(evidence, target)
    one = outcomes[0] if len(outcomes) == 1 and outcomes[0].rate else None
    found = []
    for grouping in groupings(evidence):
        real, synthetic = grouping.counts()
        rates: list[tuple[Range | None, ...]] = []
        if one is not None:
            for codes, values in ((grouping.synthetic, one.synthetic), (grouping.real, one.real)):
                known = ~np.isnan(values)
                groups = [values[known & (codes == group)] for group in range(len(grouping.labels))]
                rates.append(tuple(_range(float(v.sum()), len(v)) if len(v) else None for v in groups))
        found.append(
            GroupPicture(
                column=grouping.name,
                labels=grouping.labels,
                rows=tuple(int(count) for count in synthetic),
                share=tuple(_range(float(count), len(grouping.synthetic)) for count in synthetic),
                real_share=tuple(_range(float(count), len(grouping.real)) for count in real),
                outcome=None if one is None else one.name,
                rate=rates[0] if rates else None,
                real_rate=rates[1] if rates else None,
            )
        )
    return found


def _range(hits: float, n: int) -> Range:
    low, high = wilson(hits, n, low_error=0.025, high_error=0.025)
    return hits / n, min(low, hits / n), max(high, hits / n)


def _distances(report: Report) -> DistancePicture | None:
    found = next((one.detail.get("distances") for one in report.measurements if one.name == "excess_matches"), None)
    if not isinstance(found, Mapping):
        return None
    edges, train, fresh = (tuple(float(number) for number in found[key]) for key in ("edges", "train", "fresh"))
    return DistancePicture(edges=edges, train=train, fresh=fresh)


def _attack(report: Report) -> AttackPicture | None:
    found = next((one.detail.get("roc") for one in report.measurements if one.name == "membership"), None)
    if not isinstance(found, Mapping):
        return None
    accused, members = (tuple(float(share) for share in found[key]) for key in ("fpr", "tpr"))
    return AttackPicture(accused=accused, found=members)


def _public_column(one: ColumnPicture) -> ColumnPicture:
    """Return coarse shares of the synthetic rows; labels that few of them hold are counted as others."""
    if one.labels is None:
        return replace(
            one,
            edges=one.public_edges or (0.0, 1.0),
            synthetic=one.public_synthetic or (0.0,),
            rows=(),
            real=None,
            distance=None,
        )
    shown = [i for i, label in enumerate(one.labels) if one.rows[i] >= PUBLIC_LEAST_ROWS and label != OTHER]
    shown.sort(key=lambda i: (-one.rows[i], one.labels[i]))  # type: ignore[index]
    labels = [one.labels[i] for i in shown]
    shares = [round(one.synthetic[i], 2) for i in shown]
    if len(shown) < len(one.labels):
        labels, shares = [*labels, OTHER], [*shares, round(max(0.0, 1 - sum(one.synthetic[i] for i in shown)), 2)]
    return replace(one, labels=tuple(labels), synthetic=tuple(shares), rows=(), real=None, distance=None)


def _public_pairs(pairs: PairPicture) -> PairPicture:
    def coarse(table: tuple[tuple[float | None, ...], ...]) -> tuple[tuple[float | None, ...], ...]:
        return tuple(tuple(None if cell is None else round(cell, 2) for cell in row) for row in table)

    return PairPicture(
        names=pairs.names,
        accuracy=coarse(pairs.accuracy),
        ceiling=None if pairs.ceiling is None else coarse(pairs.ceiling),
        shortfall=coarse(pairs.shortfall),
    )


def _public_groups(one: GroupPicture) -> GroupPicture:
    shown = [i for i, count in enumerate(one.rows) if count >= PUBLIC_LEAST_ROWS]

    def coarse(number: Range | None) -> Range | None:
        return None if number is None else (round(number[0], 2), round(number[1], 2), round(number[2], 2))

    return GroupPicture(
        column=one.column,
        labels=tuple(one.labels[i] for i in shown),
        rows=(),
        share=tuple(coarse(one.share[i]) or one.share[i] for i in shown),
        real_share=None,
        outcome=one.outcome,
        rate=None if one.rate is None else tuple(coarse(one.rate[i]) for i in shown),
        real_rate=None,
    )


def _rounded(number: float) -> float:
    """Return `number` with two significant digits."""
    return float(f"{number:.2g}")
