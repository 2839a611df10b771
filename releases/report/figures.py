"""From the plain numbers of `validators.pictures` to the drawings of the page; nothing is computed about rows here."""

from itertools import accumulate
from typing import Any

from markupsafe import Markup

from releases.report import words
from releases.report.drawing import bars, curve, heat_map, histogram, picture, ranges, scatter
from sources.schema import Schema
from validators.picture_grids import GridPicture
from validators.picture_pairs import PairsPicture
from validators.pictures import AttackPicture, ColumnPicture, DistancePicture, GroupPicture, PairPicture, Pictures

MOST_COLUMNS = 60
MOST_GROUPS = 20
FULL_INK = 0.05
"""Shortfall of a pair that is drawn in full red, unless one falls shorter: the limit of the standard policy, about."""

ROC_FLOOR = 1e-3


def private_figures(pictures: Pictures, schema: Schema) -> dict[str, Any]:
    """Return what the private page adds: real beside synthetic, the least faithful column first."""
    found = _common(pictures, schema, private=True)
    if pictures.pairs is not None and len(pictures.pairs.names) > 1:
        found |= _pairs(pictures.pairs)
    if pictures.projection is not None:
        of = pictures.projection.of
        one = of.removesuffix("s")
        found["scatter"] = scatter(
            pictures.projection.synthetic, pictures.projection.real, label=f"{of} on a plane, real and synthetic"
        )
        found["scatter_heading"] = {"rows": "All columns at once", "pictures": "All pictures at once"}[of]
        found["scatter_note"] = (
            f"Each dot is a {one}, laid on a plane so that like {of} lie together; the other side is its shadow. Both "
            f"clouds should have one shape: dots without shadow, or shadow without dots, are {of} that one side knows."
        )
    found["privacy_figures"] = [
        *([_roc(pictures.distances)] if pictures.distances is not None else []),
        *([_attack(pictures.attack)] if pictures.attack is not None else []),
        *(_nearest(one) for one in pictures.picture_pairs),
    ]
    return found


def public_figures(pictures: Pictures, schema: Schema) -> dict[str, Any]:
    """Return what the public page adds, from the public part of the pictures: columns and groups of synthetic rows.

    How well single pairs agree is left out: so many numbers about the source are more than a verdict needs. So are
    groups cut at the quarters of the real rows, which would tell where these lie.
    """
    order = {name: place for place, name in enumerate(schema.names)}
    columns = tuple(sorted(pictures.columns, key=lambda one: order.get(one.name, len(order))))
    drawn = [one for one in columns if one.labels or one.public_edges is not None]
    cut = {column.name for column in schema.columns if column.kind in ("numeric", "datetime") and column.bins is None}
    groups = tuple(group for group in pictures.groups if group.column not in cut)
    return _common(
        Pictures(
            columns=tuple(drawn), pairs=None, projection=None, groups=groups, distances=None, grids=pictures.grids
        ),
        schema,
        private=False,
    )


def _common(pictures: Pictures, schema: Schema, *, private: bool) -> dict[str, Any]:
    moments = {column.name for column in schema.columns if column.kind == "datetime"}
    return {
        "multiples": [
            _multiple(one, private=private, moment=one.name in moments) for one in pictures.columns[:MOST_COLUMNS]
        ],
        "more_columns": max(0, len(pictures.columns) - MOST_COLUMNS),
        "groups": [figure for group in pictures.groups for figure in _groups(group, private=private)],
        "grids": [_grid(grid, private=private) for grid in pictures.grids if grid.strips],
    }


def _grid(grid: GridPicture, *, private: bool) -> dict[str, Any]:
    """Return the strips of one image column: synthetic, and in private the real ones beside them."""
    strips = []
    for strip in grid.strips:
        of = f"{grid.column}" + (f", {grid.by} = {strip.label}" if strip.label is not None else "")
        sheets = [("synthetic", strip.synthetic), *([("real", strip.real)] if private else [])]
        drawn = [
            picture(data, size=(grid.height, grid.width), columns=grid.columns, label=f"{side} pictures: {of}")
            if data is not None
            else Markup()
            for side, data in sheets
        ]
        strips.append({"label": strip.label or "", "sheets": drawn})
    shown = "The same number of each, drawn blindly" if private else "Drawn blindly"
    apart = f", in strips by {grid.by}." if grid.by is not None else "."
    return {"name": grid.column, "note": shown + apart, "strips": strips, "sides": ["synthetic", "real"][: 1 + private]}


def _multiple(one: ColumnPicture, *, private: bool, moment: bool) -> dict[str, Any]:
    real = one.real if private else None
    label = f"{one.name}: shares of the synthetic{' and the real' if real is not None else ''} rows"
    if one.edges is not None:
        ends = _edge(one.edges[0], moment=moment), _edge(one.edges[-1], moment=moment)
        svg = histogram(one.edges, one.synthetic, real, ends=ends, label=label)
    else:
        svg = bars(one.labels or (), one.synthetic, real, label=label)
    note = words.quantity(one.distance, "percent") if private and one.distance is not None else ""
    return {"name": one.name, "note": note, "svg": svg}


def _pairs(pairs: PairPicture) -> dict[str, Any]:
    top = max([FULL_INK, *(cell for row in pairs.shortfall for cell in row if cell is not None)])
    than = "fresh real rows reach" if pairs.ceiling is not None else "full agreement"
    note = (
        f"How far the table of each two columns falls short of what {than}: paper is nothing, full red is "
        f"{words.quantity(top, 'points')}."
    )
    return {
        "heat": heat_map(pairs.names, pairs.shortfall, top=top, label="shortfall of each pair of columns"),
        "heat_note": note,
    }


def _groups(group: GroupPicture, *, private: bool) -> list[dict[str, Any]]:
    labels = group.labels[:MOST_GROUPS]
    figures = []
    for what, synthetic, real in (
        ("share of rows", group.share, group.real_share),
        (group.outcome or "rate of outcomes", group.rate, group.real_rate),
    ):
        if synthetic is None or not labels:
            continue
        title = f"{group.column}: {what}"
        svg = ranges(labels, synthetic[:MOST_GROUPS], real[:MOST_GROUPS] if private and real else None, label=title)
        more = len(group.labels) - len(labels)
        figures.append({"name": title, "svg": svg, "note": f"{more} further groups are not drawn." if more > 0 else ""})
    return figures


def _roc(distances: DistancePicture) -> dict[str, Any]:
    """Return the ROC of guessing from the distance that a row was in the training part, both axes logarithmic."""
    points = [
        (max(fresh, ROC_FLOOR), max(train, ROC_FLOOR))
        for fresh, train in zip(accumulate(distances.fresh), accumulate(distances.train), strict=True)
        if max(fresh, train) > ROC_FLOOR
    ]
    svg = curve(
        [("fresh", [(ROC_FLOOR, ROC_FLOOR), (1.0, 1.0)]), ("train", [(ROC_FLOOR, ROC_FLOOR), *points])],
        ends=("0.1 % of fresh rows", "all fresh rows"),
        heights=("0.1 %", "100 %"),
        label="share of training rows against share of fresh rows within a distance of a synthetic row",
        logarithmic=True,
        width=420,
        height=260,
    )
    note = (
        "For every distance: how many training rows (upwards) and how many fresh rows (to the right) have a synthetic "
        "row within it. Without a leak the line runs along the diagonal; a leak lifts its left end."
    )
    return {"name": "Who has a synthetic neighbour", "svg": svg, "note": note}


def _attack(attack: AttackPicture) -> dict[str, Any]:
    """Return the ROC of the best membership attack, both axes logarithmic."""
    points = [(max(x, ROC_FLOOR), max(y, ROC_FLOOR)) for x, y in zip(attack.accused, attack.found, strict=True)]
    svg = curve(
        [("fresh", [(ROC_FLOOR, ROC_FLOOR), (1.0, 1.0)]), ("train", points)],
        ends=("0.1 % of fresh rows accused", "all fresh rows"),
        heights=("0.1 %", "100 %"),
        label="share of training rows recognised against share of fresh rows accused wrongly",
        logarithmic=True,
        width=420,
        height=260,
    )
    note = (
        "The best attack on membership: how many training rows it recognises (upwards) when it may accuse so many "
        "fresh rows wrongly (to the right). Guessing runs along the diagonal; what lies above it at the left is a leak."
    )
    return {"name": "Who can be recognised", "svg": svg, "note": note}


def _nearest(pairs: PairsPicture) -> dict[str, Any]:
    """Return real pictures over the synthetic ones nearest to them."""
    real = "Training pictures" if pairs.side == "train" else "Fresh pictures"
    svg = picture(
        pairs.sheet, size=(pairs.height, pairs.width), columns=pairs.columns, rows=2, label=f"{real}, nearest pairs"
    )
    note = (
        f"{real} above, under each the synthetic picture nearest to it; the nearest of all first. As many training "
        "pictures as fresh ones were looked at, so what is nearer in train than in the fresh ones was remembered."
    )
    return {"name": f"{real} and their nearest synthetic ones", "svg": svg, "note": note}


def _edge(edge: float, *, moment: bool) -> str:
    """Return the end of an axis; moments come in years."""
    if not moment:
        return words.signed(edge, 3)
    year, month = divmod(round(edge * 12), 12)
    return f"{year}-{month + 1:02d}"
