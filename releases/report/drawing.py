"""The marks of the report as inline SVG: plain numbers in, markup out, nothing computed about the data.

Colours are CSS classes (`template style.css`), so one picture serves light, dark and paper; every picture carries a
`<title>` for readers who do not see it. Coordinates are rounded to a tenth of a pixel to keep the page small.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from sources.picture_sheets import GAP

Scale = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Whisker:
    """One estimate against its limit.

    Args:
        value, low, high: the estimate and its interval; None where there is none.
        limit: the bound, or (lower, upper); None draws none.
        reference: what fresh real rows score, or None.
        bad: which side of the limit refuses: `above`, `below` or `outside`.
        tone: the CSS class of the estimate: `pass`, `fail`, `inconclusive` or `invalid`.

    """

    value: float | None
    low: float | None
    high: float | None
    limit: float | tuple[float, float] | None
    reference: float | None
    bad: str
    tone: str


def span_of(whiskers: Sequence[Whisker]) -> tuple[float, float]:
    """Return the (low, high) of an axis that shows all of `whiskers` with their limits and references."""
    numbers: list[float] = []
    for whisker in whiskers:
        limits = whisker.limit if isinstance(whisker.limit, tuple) else (whisker.limit,)
        every = (whisker.value, whisker.low, whisker.high, whisker.reference, *limits)
        numbers += [number for number in every if number is not None]
    if not numbers:
        return 0.0, 1.0
    low, high = min(numbers), max(numbers)
    pad = 0.12 * (high - low) or 0.1 * abs(high) or 0.1
    return low - pad, high + pad


def whisker_row(
    whisker: Whisker, *, span: tuple[float, float], label: str, width: float = 260, height: float = 26
) -> Markup:
    """Return one dot-and-whisker row: forbidden side tinted, limit a line, fresh real rows an open diamond."""
    x = _scale(span, (6, width - 6))
    middle = height / 2
    parts: list[str] = []
    for left, right in _forbidden(whisker, span):
        parts.append(_rect(x(left), 3, x(right) - x(left), height - 6, "forbidden"))
    parts.append(_line(6, middle, width - 6, middle, "axis"))
    limits = whisker.limit if isinstance(whisker.limit, tuple) else (whisker.limit,)
    parts += [_line(x(limit), 1, x(limit), height - 1, "limit") for limit in limits if limit is not None]
    if whisker.reference is not None:
        parts.append(_diamond(x(whisker.reference), middle, 4.5))
    if whisker.low is not None and whisker.high is not None:
        parts.append(_line(x(whisker.low), middle, x(whisker.high), middle, f"whisker {whisker.tone}"))
    if whisker.value is not None:
        parts.append(f'<circle class="dot {whisker.tone}" cx="{_p(x(whisker.value))}" cy="{_p(middle)}" r="3.8"/>')
    return _svg(width, height, label, parts, "row")


def bars(
    labels: Sequence[str],
    synthetic: Sequence[float],
    real: Sequence[float] | None,
    *,
    label: str,
    width: float = 200,
    step: float = 15,
) -> Markup:
    """Return horizontal bars, one a category: synthetic filled, real (when given) a tick over each.

    Args:
        labels: the categories.
        synthetic: their shares, as long as `labels`.
        real: likewise, or None.
        label: the picture in words.
        width: pixels.
        step: pixels a category.

    """
    top = max([*synthetic, *(real or ()), 1e-9])
    left = width * 0.42
    x = _scale((0, top), (left, width - 4))
    height = step * len(labels) + 2
    parts: list[str] = []
    for row, text in enumerate(labels):
        y = 1 + row * step
        parts.append(_text(left - 5, y + step * 0.72, _shorten(text, 12), "tick", "end"))
        parts.append(_rect(left, y + 2.5, x(synthetic[row]) - left, step - 5, "synthetic"))
        if real is not None:
            parts.append(_line(x(real[row]), y + 0.5, x(real[row]), y + step - 0.5, "real"))
    parts.append(_line(left, 1, left, height - 1, "axis"))
    return _svg(width, height, label, parts, "bars")


def histogram(
    edges: Sequence[float],
    synthetic: Sequence[float],
    real: Sequence[float] | None,
    *,
    ends: tuple[str, str],
    label: str,
    width: float = 200,
    height: float = 92,
) -> Markup:
    """Return a histogram: synthetic filled, real (when given) a stepped line over it.

    Args:
        edges: B + 1 increasing edges.
        synthetic: B shares; drawn as densities, so unequal bins are fair.
        real: likewise, or None.
        ends: the words under the first and the last edge.
        label: the picture in words.
        width: pixels.
        height: pixels.

    """
    floor = height - 14
    widths = [right - left for left, right in itertools.pairwise(edges)]
    filled = _density(synthetic, widths)
    outline = _density(real, widths) if real is not None else []
    x = _scale((edges[0], edges[-1]), (2, width - 2))
    y = _scale((0, max([*filled, *outline, 1e-12])), (floor, 3))
    parts = [f'<path class="synthetic" d="{_steps(edges, filled, x, y, floor)}Z"/>']
    if real is not None:
        parts.append(f'<path class="real" d="{_steps(edges, outline, x, y, floor)}"/>')
    parts.append(_line(2, floor, width - 2, floor, "axis"))
    parts.append(_text(2, height - 3, ends[0], "tick", "start"))
    parts.append(_text(width - 2, height - 3, ends[1], "tick", "end"))
    return _svg(width, height, label, parts, "histogram")


def heat_map(names: Sequence[str], shortfall: Sequence[Sequence[float | None]], *, top: float, label: str) -> Markup:
    """Return the lower triangle of a matrix of shortfalls; a darker cell falls further short of the ceiling.

    Args:
        names: D names.
        shortfall: D x D; cell (i, j) for j < i is drawn, None is left blank; 0 is paper, `top` and more full ink.
        top: the shortfall of full ink, positive.
        label: the picture in words.

    """
    size = len(names)
    cell = max(9.0, min(26.0, 560 / max(size, 1)))
    left, below = 130.0, 84.0
    width, height = left + cell * (size - 1) + 70, cell * (size - 1) + below
    parts: list[str] = []
    for row in range(1, size):
        y = (row - 1) * cell
        parts.append(_text(left - 6, y + cell * 0.7, _shorten(names[row], 18), "tick", "end"))
        for column in range(row):
            value = shortfall[row][column]
            if value is None:
                continue
            x = left + column * cell
            depth = max(0.0, min(1.0, value / top))
            words = f"{names[column]} × {names[row]}: {100 * value:.1f} points below the ceiling"
            parts.append(
                f'<rect class="cell" x="{_p(x)}" y="{_p(y)}" width="{_p(cell - 1)}" height="{_p(cell - 1)}" '
                f'fill-opacity="{0.04 + 0.96 * depth:.2f}"><title>{escape(words)}</title></rect>'
            )
    for column in range(size - 1):
        x, y = left + (column + 0.6) * cell, (size - 1) * cell + 8
        parts.append(
            f'<text class="tick" text-anchor="end" transform="translate({_p(x)} {_p(y)}) rotate(-50)">'
            f"{escape(_shorten(names[column], 18))}</text>"
        )
    return _svg(width, height, label, parts, "heat")


def scatter(
    synthetic: Sequence[tuple[float, float]],
    real: Sequence[tuple[float, float]] | None,
    *,
    label: str,
    size: float = 208,
) -> Markup:
    """Return clouds of points on one plane, a panel each (one panel without `real`); the axes have no unit.

    Each panel shows its own points over the faint shadow of the other's, so what only one side knows stands out.

    Args:
        synthetic: N points.
        real: M points, or None.
        label: the picture in words.
        size: pixels of a panel's side.

    """
    if not synthetic and not real:
        return _svg(size, size, label, [], "scatter")
    panels = [("real", real, synthetic), ("synthetic", synthetic, real)] if real else [("synthetic", synthetic, None)]
    every = [*synthetic, *(real or ())]
    size = size if real else 1.5 * size
    across, up = _range([point[0] for point in every]), _range([point[1] for point in every])
    parts = []
    for place, (name, own, other) in enumerate(panels):
        left = place * (size + 12)
        x, y = _scale(across, (left + 6, left + size - 6)), _scale(up, (size + 10, 22))
        parts.append(_text(left + 4, 10, name, "tick", "start"))
        parts.append(_rect(left, 16, size, size, "panel"))
        for kind, points in (("shadow", other), (name, own)):
            if points:
                d = "".join(f"M{_p(x(a))} {_p(y(b))}h0" for a, b in points)
                parts.append(f'<path class="cloud {kind}" d="{d}"/>')
    return _svg(len(panels) * (size + 12) - 12, size + 17, label, parts, "scatter")


def ranges(
    labels: Sequence[str],
    synthetic: Sequence[tuple[float, float, float] | None],
    real: Sequence[tuple[float, float, float] | None] | None,
    *,
    label: str,
    width: float = 460,
    step: float = 30,
) -> Markup:
    """Return one line a group: synthetic a dot with its interval, real (when given) an open diamond with its own below.

    Args:
        labels: the groups.
        synthetic: (value, low, high) of each, shares of 1; None where there is none.
        real: the same for the real rows.
        label: the picture in words.
        width: pixels.
        step: pixels a group.

    """
    every = [end for line in (synthetic, real or ()) for one in line if one is not None for end in one]
    top = min(1.0, max([*every, 0.02]) * 1.06)
    left = width * 0.32
    x = _scale((0, top), (left, width - 10))
    height = step * len(labels) + 18
    parts = [_line(left, 2, left, height - 16, "axis"), _line(left, height - 16, width - 10, height - 16, "axis")]
    parts += [_text(x(at), height - 4, f"{100 * at:.3g} %", "tick", "middle") for at in _ticks(top)]
    for row, text in enumerate(labels):
        y = row * step + step / 2
        parts.append(_text(left - 8, y + 4, _shorten(text, 24), "tick", "end"))
        one, other = synthetic[row], real[row] if real is not None else None
        up = y - 4 if other is not None else y
        if other is not None:
            parts.append(_line(x(other[1]), y + 5, x(other[2]), y + 5, "real-range"))
            parts.append(_diamond(x(other[0]), y + 5, 4))
        if one is not None:
            parts.append(_line(x(one[1]), up, x(one[2]), up, "whisker synthetic"))
            parts.append(f'<circle class="dot synthetic" cx="{_p(x(one[0]))}" cy="{_p(up)}" r="3.8"/>')
    return _svg(width, height, label, parts, "ranges")


def curve(
    series: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    *,
    ends: tuple[str, str],
    heights: tuple[str, str],
    label: str,
    logarithmic: bool = False,
    width: float = 460,
    height: float = 150,
) -> Markup:
    """Return lines over a common x axis.

    Args:
        series: (CSS class, points (x, y)) each.
        ends: the words under the smallest and largest x.
        heights: the words beside the smallest and largest y.
        label: the picture in words.
        logarithmic: both axes are; all numbers are positive then.
        width: pixels.
        height: pixels.

    """
    if logarithmic:
        series = [(name, [(math.log10(a), math.log10(b)) for a, b in line]) for name, line in series]
    points = [point for _, line in series for point in line]
    if not points:
        return _svg(width, height, label, [], "curve")
    x = _scale(_range([point[0] for point in points]), (52, width - 6))
    y = _scale(_range([point[1] for point in points]), (height - 20, 8))
    parts = [_line(52, height - 18, width - 6, height - 18, "axis")]
    parts += [_text(46, height - 20, heights[0], "tick", "end"), _text(46, 14, heights[1], "tick", "end")]
    parts += [_text(52, height - 4, ends[0], "tick", "start"), _text(width - 6, height - 4, ends[1], "tick", "end")]
    for name, line in series:
        d = "L".join(f"{_p(x(a))} {_p(y(b))}" for a, b in line)
        parts.append(f'<path class="line {name}" d="M{d}"/>')
    return _svg(width, height, label, parts, "curve")


def picture(png: str, *, size: tuple[int, int], columns: int, label: str, rows: int = 1, side: float = 40) -> Markup:
    """Return a strip of pictures as an image that stands in the page; each picture is drawn about `side` pixels high.

    Args:
        png: the sheet, base64.
        size: height and width of one picture on it.
        columns: pictures in a row of it.
        rows: of pictures.
        label: the picture in words.
        side: pixels of a picture's longer side on the page; larger ones stay as they are.

    """
    height, width = size
    scale = max(1.0, side / max(height, width))
    across, down = (round(scale * (num * (one + GAP) - GAP)) for num, one in ((columns, width), (rows, height)))
    return Markup(  # noqa: S704 - base64, numbers, and a text that went through escape
        f'<img class="strip" alt="{escape(label)}" width="{across}" height="{down}" src="data:image/png;base64,{png}">'
    )


def _forbidden(whisker: Whisker, span: tuple[float, float]) -> list[tuple[float, float]]:
    if whisker.limit is None:
        return []
    if isinstance(whisker.limit, tuple):
        return [(span[0], whisker.limit[0]), (whisker.limit[1], span[1])]
    return [(whisker.limit, span[1])] if whisker.bad == "above" else [(span[0], whisker.limit)]


def _scale(domain: tuple[float, float], target: tuple[float, float]) -> Scale:
    (low, high), (start, stop) = domain, target
    slope = (stop - start) / (high - low) if high > low else 0.0

    def place(value: float) -> float:
        return start + (min(max(value, low), high) - low) * slope if slope else (start + stop) / 2

    return place


def _ticks(top: float) -> list[float]:
    """Return round numbers from 0 up to `top`, about four steps apart."""
    rough = top / 4
    unit = 10 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
    return [step * number for number in range(int(top / step) + 1)]


def _range(numbers: Sequence[float]) -> tuple[float, float]:
    return min(numbers), max(numbers)


def _density(shares: Sequence[float], widths: Sequence[float]) -> list[float]:
    return [share / width if width > 0 else 0.0 for share, width in zip(shares, widths, strict=True)]


def _steps(edges: Sequence[float], heights: Sequence[float], x: Scale, y: Scale, floor: float) -> str:
    d = f"M{_p(x(edges[0]))} {_p(floor)}"
    for left, right, height in zip(edges, edges[1:], heights, strict=False):
        d += f"L{_p(x(left))} {_p(y(height))}H{_p(x(right))}"
    return d + f"V{_p(floor)}"


def _svg(width: float, height: float, label: str, parts: Sequence[str], kind: str) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704 - every text in `parts` and `label` went through escape
        f'<svg class="{kind}" role="img" viewBox="0 0 {_p(width)} {_p(height)}" width="{_p(width)}" '
        f'height="{_p(height)}"><title>{escape(label)}</title>{body}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, name: str) -> str:
    return f'<rect class="{name}" x="{_p(x)}" y="{_p(y)}" width="{_p(max(width, 0))}" height="{_p(height)}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    return f'<line class="{name}" x1="{_p(x1)}" y1="{_p(y1)}" x2="{_p(x2)}" y2="{_p(y2)}"/>'


def _text(x: float, y: float, text: str, name: str, anchor: str) -> str:
    return f'<text class="{name}" x="{_p(x)}" y="{_p(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _diamond(x: float, y: float, r: float) -> str:
    corners = "L".join(f"{_p(x + dx)} {_p(y + dy)}" for dx, dy in ((0, -r), (r, 0), (0, r), (-r, 0)))
    return f'<path class="reference" d="M{corners}Z"/>'


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _p(number: float) -> str:
    """Return a coordinate with at most one decimal."""
    assert math.isfinite(number), "a picture got a number that is not finite"
    return f"{number:.1f}".removesuffix(".0")
