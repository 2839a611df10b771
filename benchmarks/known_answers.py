"""Synthetic tables whose right verdict is known in advance: what a gate must refuse, and what it must let through.

A `Population` is a real or simulated table in random order. `drawn` cuts it into train, holdout and fresh rows, the
perfect generator; each `Kind` makes of them the rows that are judged. A kind that a table cannot have (no missing
cell, no protected column) returns None.

Legend: N rows, C columns.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

Must = Literal["refuse", "pass", "not pass"]
NUM_LABELS = 20
"""A number of more values than these is a quantity."""
GROUP_SHARE = 0.25
"""Groups that are tampered with are the ones nearest to this share of rows."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """A table in which rows are independent draws of one law.

    Args:
        name: for the result.
        table: the rows, as a reader gives them.
        target: the column that a recipient predicts, of two labels.
        protected: columns that name groups; may be empty.

    """

    name: str
    table: pd.DataFrame
    target: str
    protected: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """Three disjoint random parts of a population, equally large.

    Args:
        population: what they were drawn from.
        train, holdout, fresh: the parts.

    """

    population: Population
    train: pd.DataFrame
    holdout: pd.DataFrame
    fresh: pd.DataFrame

    @property
    def quantities(self) -> list[str]:
        """Return the numeric columns of many values, the target aside."""
        return [
            name
            for name, column in self.train.items()
            if name != self.population.target
            and pd.api.types.is_numeric_dtype(column)
            and column.nunique() > NUM_LABELS
        ]

    @property
    def labelled(self) -> list[str]:
        """Return the columns of texts of few values, target aside."""
        return [
            name
            for name, column in self.train.items()
            if name != self.population.target
            and not pd.api.types.is_numeric_dtype(column)
            and not pd.api.types.is_datetime64_any_dtype(column)
            and 2 <= column.nunique() <= NUM_LABELS
        ]


Rogue = Callable[[Draw, np.random.Generator], pd.DataFrame | None]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way to make rows whose verdict is known.

    Args:
        make: the rows from a draw.
        must: what the gate has to answer; "not pass" where refusing and doubting are both right.
        families: of which at least one has to speak when the rows are refused.

    """

    make: Rogue
    must: Must
    families: frozenset[str] = frozenset()


def drawn(population: Population, rows: int, rng: np.random.Generator) -> Draw:
    """Return three disjoint random parts of `rows` rows each, or of a third of the table when it is smaller."""
    size = min(rows, len(population.table) // 3)
    order = rng.permutation(len(population.table))
    parts = [population.table.iloc[order[i * size : (i + 1) * size]].reset_index(drop=True) for i in range(3)]
    return Draw(population=population, train=parts[0], holdout=parts[1], fresh=parts[2])


def simulated(n: int = 40_000, seed: int = 0) -> Population:
    """Return a law with what real tables may lack: ids, texts, dates, gaps that mean something, a heavy tail."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=n)
    region = np.array(["north", "south", "east", "west"], dtype=object)[rng.choice(4, n, p=[0.45, 0.3, 0.17, 0.08])]
    sex = np.where(rng.random(n) < 0.45, "f", "m").astype(object)
    visits = rng.poisson(np.exp(0.6 * latent + 0.4))
    spent = np.round(np.exp(3 + latent + rng.standard_t(3, n) * 0.4), 2)
    plan = np.array(["basic", "plus", "pro"], dtype=object)[
        np.clip(np.round(latent + rng.normal(0, 0.7, n)), -1, 1).astype(int) + 1
    ]
    called = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, n) + 60 * (latent > 0), unit="D")
    rating = np.round(np.clip(3 + latent + rng.normal(0, 0.8, n), 1, 5) * 2) / 2
    rating[rng.random(n) < np.where(plan == "basic", 0.3, 0.05)] = np.nan
    chance = 1 / (1 + np.exp(-(1.8 * latent + 0.5 * (sex == "f") - 0.6)))
    words = np.array(["late", "parcel", "refund", "thanks", "broken", "again", "invoice", "login", "slow", "great"])
    notes = [" ".join(words[rng.integers(0, 10, rng.integers(4, 12))]) for _ in range(n)]
    table = pd.DataFrame(
        {
            "customer": [f"C-{number:06d}" for number in rng.permutation(900_000)[:n]],
            "region": region,
            "sex": sex,
            "plan": plan,
            "visits": visits,
            "spent": spent,
            "rating": rating,
            "called": called,
            "note": notes,
            "stayed": np.where(rng.random(n) < chance, "yes", "no").astype(object),
        }
    )
    return Population(name="simulated", table=table, target="stayed", protected=("region", "sex"))


# Leaks: rows of train, plain or in disguise.


def verbatim(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """Train itself."""
    return draw.train


def shuffled(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of train in another order."""
    return draw.train.iloc[rng.permutation(len(draw.train))]


def copies(share: float) -> Rogue:
    """Fresh rows of which `share` are rows of train."""

    def make(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
        k = round(share * len(draw.fresh))
        return pd.concat([draw.fresh.iloc[k:], draw.train.iloc[rng.permutation(len(draw.train))[:k]]])

    return make


def noisy(scale: float) -> Rogue:
    """Rows of train, each quantity with noise of `scale` standard deviations, on its own lattice."""

    def make(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
        return jittered(draw.train, draw, scale, rng) if len(draw.quantities) > 1 else None

    return make


def one_cell(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of train, one cell of each from another row."""
    table = shuffled(draw, rng).reset_index(drop=True)
    changed = rng.integers(0, table.shape[1], len(table))
    columns = {}
    for at, name in enumerate(table):
        values = table[name].to_numpy(copy=True)
        hit = changed == at
        values[hit] = values[rng.integers(0, len(table), int(hit.sum()))]
        columns[name] = pd.Series(values, dtype=table[name].dtype)
    return pd.DataFrame(columns)


def strangest(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows and the 30 rows of train that are farthest from all others."""
    space = standardised(draw.train, draw)
    if space.shape[1] < 2:
        return None
    far = cKDTree(space).query(space, k=2)[0][:, 1]
    chosen = np.argsort(-far, kind="stable")[:30]
    return pd.concat([draw.fresh.iloc[len(chosen) :], draw.train.iloc[rng.permutation(chosen)]])


def smote(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Rows between a row of train and one of its five nearest (Chawla et al. 2002); labels from either."""
    space = standardised(draw.train, draw)
    if space.shape[1] < 2:
        return None
    near = cKDTree(space).query(space, k=6)[1][:, 1:]
    return mixed(draw, near[np.arange(len(near)), rng.integers(0, 5, len(near))], rng.random(len(near)), rng)


def mixup(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Rows of train with a tenth of another row mixed in (Zhang et al. 2018, a sharp beta law); labels of the first."""
    if len(draw.quantities) < 2:
        return None
    return mixed(draw, rng.permutation(len(draw.train)), rng.beta(0.2, 4.0, len(draw.train)), rng)


def both_real_parts(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of train and of the holdout: what a synthesizer emits that was trained on both."""
    both = pd.concat([draw.train, draw.holdout])
    return both.iloc[rng.permutation(len(both))[: len(draw.fresh)]]


def near_texts(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows whose longest texts are those of train."""
    texts = [
        name
        for name in draw.train
        if draw.train[name].dtype == object and draw.train[name].astype(str).str.len().mean() > 20
    ]
    if not texts:
        return None
    order = rng.permutation(len(draw.train))
    return draw.fresh.assign(**{texts[0]: draw.train[texts[0]].to_numpy()[order[: len(draw.fresh)]]})


# Unfaithful rows.


def independent(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Fresh rows, every column shuffled by itself: perfect marginals, no structure."""
    table = draw.fresh
    return pd.DataFrame({name: table[name].array[rng.permutation(len(table))] for name in table})


def thousandfold(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, the first quantity times 1,000."""
    if not draw.quantities:
        return None
    name = draw.quantities[0]
    return draw.fresh.assign(**{name: draw.fresh[name] * 1000})


def collapsed(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """A third of the fresh rows, those nearest to one of them, again and again with a little noise."""
    space = standardised(draw.fresh, draw)
    if space.shape[1] < 2:
        return None
    centre = space[rng.integers(len(space))]
    kept = np.argsort(np.square(space - centre).sum(axis=1), kind="stable")[: len(space) // 3]
    return jittered(draw.fresh.iloc[rng.choice(kept, len(space))].reset_index(drop=True), draw, 0.02, rng)


def clipped(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, each quantity clipped at its 5 % and 95 % quantiles."""
    if not draw.quantities:
        return None
    table = draw.fresh.copy()
    for name in draw.quantities:
        low, high = table[name].quantile([0.05, 0.95], interpolation="nearest")
        table[name] = table[name].clip(low, high)
    return table


def spurious(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, two nearly unrelated quantities ranked alike in half of the rows."""
    names = draw.quantities
    if len(names) < 2:
        return None
    ranks = draw.fresh[names].corr(method="spearman").abs().to_numpy()
    first, second = np.unravel_index(np.argmin(np.where(np.eye(len(names)) > 0, np.inf, ranks)), ranks.shape)
    table = draw.fresh.copy()
    rows = np.sort(rng.permutation(len(table))[: len(table) // 2])
    one, other = table[names[first]].to_numpy()[rows], table[names[second]].to_numpy(copy=True)
    other[rows] = np.sort(other[rows])[np.argsort(np.argsort(one, kind="stable"), kind="stable")]
    return table.assign(**{names[second]: other})


def flipped(share: float) -> Rogue:
    """Fresh rows, `share` of the labels are another label."""

    def make(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
        name = draw.population.target
        column = draw.fresh[name]
        labels = column.dropna().unique()
        other = {label: labels[(at + 1) % len(labels)] for at, label in enumerate(labels)}
        hit = rng.random(len(column)) < share
        return draw.fresh.assign(**{name: column.where(~hit, column.map(other).astype(column.dtype))})

    return make


def filled(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, missing cells filled with cells of other rows; None where under 3 % of every column are missing."""
    shares = draw.fresh.isna().mean()
    if shares.max() < 0.03:
        return None
    table = draw.fresh.copy()
    for name in shares.index[shares > 0]:
        known = table[name].dropna().to_numpy()
        table.loc[table[name].isna(), name] = rng.choice(known, int(table[name].isna().sum()))
    return table


def missing_anywhere(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows whose missing cells are elsewhere: as many in each column, in random rows."""
    table = filled(draw, rng)
    if table is None:
        return None
    for name in table:
        gaps = int(draw.fresh[name].isna().sum())
        table.loc[rng.permutation(len(table))[:gaps], name] = None
    return table


def doubled(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Half of the fresh rows, each twice, the second time with a little noise."""
    if not draw.quantities:
        return None
    half = draw.fresh.iloc[: len(draw.fresh) // 2]
    again = jittered(half.reset_index(drop=True), draw, 0.02, rng)
    keys = [name for name in draw.fresh if draw.fresh[name].dtype == object and draw.fresh[name].is_unique]
    return pd.concat([half, again.assign(**{key: draw.fresh[key].iloc[-len(half) :].to_numpy() for key in keys})])


def all_the_same(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """One fresh row, again and again."""
    return draw.fresh.iloc[np.zeros(len(draw.fresh), dtype=int)]


# Unfair rows.


def erased(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows without the smallest group of at least 5 %."""
    found = group_near(draw, 0.0)
    return None if found is None else draw.fresh[~found]


def halved(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, one group down to half of its rows."""
    found = group_near(draw, GROUP_SHARE)
    return None if found is None else draw.fresh[~(found & (rng.random(len(found)) < 0.5))]


def crossing_erased(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows without the smallest combination of two protected columns of at least 3 %."""
    if len(draw.population.protected) < 2:
        return None
    one, other = (draw.fresh[name].astype(str) for name in draw.population.protected[:2])
    both = one + "|" + other
    shares = both.value_counts(normalize=True)
    return draw.fresh[both != shares[shares >= 0.03].index[-1]]


def fewer_positives(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, half of the rarer label's rows of one group have the commoner label."""
    found = group_near(draw, GROUP_SHARE)
    if found is None:
        return None
    name = draw.population.target
    common, rare = draw.fresh[name].value_counts().index[:2]
    column = draw.fresh[name].copy()
    column[found & (column == rare).to_numpy() & (rng.random(len(found)) < 0.5)] = common
    return draw.fresh.assign(**{name: column})


def proxy(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, in half of which a label outside the protected columns is the group's own commonest excess."""
    group = next((name for name in draw.population.protected if name in draw.labelled), None)
    others = [name for name in draw.labelled if name not in draw.population.protected]
    if group is None or not others:
        return None
    tables = {name: pd.crosstab(draw.fresh[group], draw.fresh[name], normalize="index") for name in others}
    name = min(tables, key=lambda one: float(tables[one].std().sum()))  # the column that says least about the group
    excess = (tables[name] / draw.fresh[name].value_counts(normalize=True)).idxmax(axis=1)
    hit = rng.random(len(draw.fresh)) < 0.5
    column = draw.fresh[name].where(~hit, draw.fresh[group].map(excess))
    return draw.fresh.assign(**{name: column.astype(draw.fresh[name].dtype)})


def averaged(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, one group's rows all like its average person; other groups good."""
    found = group_near(draw, GROUP_SHARE)
    if found is None:
        return None
    table = draw.fresh.copy()
    for name in table:
        if name in draw.population.protected:
            continue
        cells = table[name]
        number = pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_datetime64_any_dtype(cells)
        middle = cells[found].quantile(0.5, interpolation="nearest") if number else cells[found].mode().iloc[0]
        table[name] = cells.where(~found, middle).astype(cells.dtype)
    return table


# Broken tables.


def out_of_range(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, a hundredth of a quantity far beyond everything real."""
    if not draw.quantities:
        return None
    name = draw.quantities[0]
    column, span = draw.fresh[name].copy(), np.ptp(draw.train[name].dropna().to_numpy())
    column.iloc[rng.permutation(len(column))[: len(column) // 100]] = draw.train[name].max() + 10 * span
    return draw.fresh.assign(**{name: column})


def wrong_type(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, a quantity written in words."""
    if not draw.quantities:
        return None
    name = draw.quantities[0]
    return draw.fresh.assign(**{name: "about " + draw.fresh[name].astype(str)})


def illegal_label(draw: Draw, rng: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, a hundredth of them with a label that no real row has."""
    if not draw.labelled:
        return None
    name = draw.labelled[0]
    column = draw.fresh[name].copy()
    column.iloc[rng.permutation(len(column))[: len(column) // 100]] = "no such label"
    return draw.fresh.assign(**{name: column})


def gaps(draw: Draw, rng: np.random.Generator) -> pd.DataFrame:
    """Fresh rows, a fifth of a column that has no missing cell is missing."""
    name = next(name for name in draw.train if not draw.train[name].isna().any() and name != draw.population.target)
    column = draw.fresh[name].astype(object).copy()
    column.iloc[rng.permutation(len(column))[: len(column) // 5]] = None
    return draw.fresh.assign(**{name: column})


def ids_twice(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, one identifier stands in ten rows."""
    name = next((name for name in draw.train if draw.train[name].dtype == object and draw.train[name].is_unique), None)
    if name is None:
        return None
    column = draw.fresh[name].copy()
    column.iloc[:10] = column.iloc[0]
    return draw.fresh.assign(**{name: column})


def column_gone(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """Fresh rows without their first column."""
    return draw.fresh.drop(columns=draw.fresh.columns[0])


def column_more(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """Fresh rows with a column that the source has not."""
    return draw.fresh.assign(**{"one more": 1})


def empty(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """No row."""
    return draw.fresh.iloc[:0]


def few(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """Ninety fresh rows."""
    return draw.fresh.iloc[:90]


# Good rows.


def fresh(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """Fresh real rows: the perfect generator."""
    return draw.fresh


def reordered(draw: Draw, _: np.random.Generator) -> pd.DataFrame:
    """Fresh rows sorted by a column."""
    names = draw.quantities or list(draw.fresh)
    return draw.fresh.sort_values(names[0], kind="stable")


def one_extreme(draw: Draw, _: np.random.Generator) -> pd.DataFrame | None:
    """Fresh rows, one of which is the largest of the whole population in a quantity."""
    if not draw.quantities:
        return None
    everybody = draw.population.table
    row = everybody.iloc[[int(np.nanargmax(everybody[draw.quantities[-1]].to_numpy(dtype=float)))]]
    seen = draw.train.merge(row, how="inner", on=list(row.columns))
    return None if len(seen) else pd.concat([draw.fresh.iloc[1:], row])


PRIVACY, FIDELITY = frozenset({"privacy"}), frozenset({"fidelity"})
BIAS, CONTRACT = frozenset({"bias"}), frozenset({"contract"})
KINDS: Mapping[str, Kind] = {
    "fresh real rows": Kind(make=fresh, must="pass"),
    "fresh rows, sorted": Kind(make=reordered, must="pass"),
    "fresh rows with one extreme": Kind(make=one_extreme, must="pass"),
    "verbatim": Kind(make=verbatim, must="refuse", families=PRIVACY),
    "verbatim, shuffled": Kind(make=shuffled, must="refuse", families=PRIVACY),
    "copies, noise of 0.1 % sd": Kind(make=noisy(0.001), must="refuse", families=PRIVACY),
    "copies, noise of 1 % sd": Kind(make=noisy(0.01), must="refuse", families=PRIVACY),
    "copies, noise of 5 % sd": Kind(make=noisy(0.05), must="refuse", families=PRIVACY),
    "copies, noise of 10 % sd": Kind(make=noisy(0.1), must="refuse", families=PRIVACY),
    "copies, one cell changed": Kind(make=one_cell, must="refuse", families=PRIVACY),
    "0.5 % copies": Kind(make=copies(0.005), must="refuse", families=PRIVACY),
    "1 % copies": Kind(make=copies(0.01), must="refuse", families=PRIVACY),
    "5 % copies": Kind(make=copies(0.05), must="refuse", families=PRIVACY),
    "20 % copies": Kind(make=copies(0.2), must="refuse", families=PRIVACY),
    "30 strangest rows copied": Kind(make=strangest, must="refuse", families=PRIVACY),
    "SMOTE": Kind(make=smote, must="refuse", families=PRIVACY),
    "mixup": Kind(make=mixup, must="refuse", families=PRIVACY),
    "texts of train": Kind(make=near_texts, must="refuse", families=PRIVACY),
    "rows of train and holdout": Kind(make=both_real_parts, must="refuse", families=PRIVACY | FIDELITY),
    "independent columns": Kind(make=independent, must="refuse", families=FIDELITY),
    "a column times 1,000": Kind(make=thousandfold, must="refuse", families=FIDELITY | CONTRACT),
    "mode collapse": Kind(make=collapsed, must="refuse", families=FIDELITY),
    "tails clipped": Kind(make=clipped, must="refuse", families=FIDELITY),
    "spurious correlation": Kind(make=spurious, must="refuse", families=FIDELITY),
    "5 % labels flipped": Kind(make=flipped(0.05), must="refuse", families=FIDELITY | BIAS),
    "20 % labels flipped": Kind(make=flipped(0.2), must="refuse", families=FIDELITY | BIAS),
    "missing values filled": Kind(make=filled, must="refuse", families=FIDELITY),
    "missing values anywhere": Kind(make=missing_anywhere, must="refuse", families=FIDELITY),
    "rows twice with noise": Kind(make=doubled, must="refuse", families=FIDELITY),
    "all rows the same": Kind(make=all_the_same, must="refuse", families=FIDELITY),
    "a group erased": Kind(make=erased, must="refuse", families=BIAS),
    "a group halved": Kind(make=halved, must="refuse", families=BIAS),
    "an intersection erased": Kind(make=crossing_erased, must="refuse", families=BIAS),
    "positives halved in a group": Kind(make=fewer_positives, must="refuse", families=BIAS),
    "a proxy strengthened": Kind(make=proxy, must="refuse", families=BIAS | FIDELITY),
    "a group averaged": Kind(make=averaged, must="refuse", families=BIAS | FIDELITY),
    "out of range": Kind(make=out_of_range, must="refuse", families=CONTRACT | FIDELITY),
    "wrong type": Kind(make=wrong_type, must="refuse", families=CONTRACT),
    "illegal label": Kind(make=illegal_label, must="refuse", families=CONTRACT),
    "null burst": Kind(make=gaps, must="refuse", families=CONTRACT),
    "ids twice": Kind(make=ids_twice, must="refuse", families=CONTRACT),
    "a column missing": Kind(make=column_gone, must="refuse", families=CONTRACT),
    "a column too many": Kind(make=column_more, must="refuse", families=CONTRACT),
    "no rows": Kind(make=empty, must="not pass"),
    "90 rows": Kind(make=few, must="not pass"),
}


def group_near(draw: Draw, share: float) -> np.ndarray | None:
    """Return the fresh rows (bool N) of the group of at least 5 % and at most half nearest to `share`, or None.

    A protected quantity has four groups, its quarters.
    """
    if not draw.population.protected:
        return None
    column = draw.fresh[draw.population.protected[0]]
    if draw.population.protected[0] in draw.quantities:
        return np.asarray(column > column.quantile(0.75))
    shares = column.value_counts(normalize=True)
    shares = shares[(shares >= 0.05) & (shares <= 0.5)]
    return np.asarray(column == (shares - share).abs().idxmin()) if len(shares) else None


def standardised(table: pd.DataFrame, draw: Draw) -> np.ndarray:
    """Return the quantities in standard deviations of train, gaps at its median (float N C)."""
    columns = [
        (table[name].astype(float).fillna(draw.train[name].median()) - draw.train[name].mean()) / draw.train[name].std()
        for name in draw.quantities
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(table), 0))


def jittered(table: pd.DataFrame, draw: Draw, scale: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table with normal noise of `scale` standard deviations of train on each quantity, on its lattice."""
    changed = {}
    for name in draw.quantities:
        moved = table[name] + rng.normal(0, scale * draw.train[name].std(), len(table))
        changed[name] = on_lattice(moved, draw.train[name])
    return table.assign(**changed)


def mixed(draw: Draw, other: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    """Return rows of train drawn towards the rows `other` (int N) by `weight` (float N); labels of the nearer one."""
    table = draw.train.copy()
    for name in table:
        cells = draw.train[name]
        partner = cells.iloc[other].reset_index(drop=True)
        if name in draw.quantities:
            table[name] = on_lattice(cells + weight * (partner.astype(float) - cells), cells)
        else:
            table[name] = cells.where(weight < rng.random(len(weight)), partner)
    return table


def on_lattice(moved: pd.Series, like: pd.Series) -> pd.Series:
    """Return numbers with the decimals and the range of the column `like`."""
    known = like.dropna().to_numpy(dtype=float)[:500]
    decimals = next((d for d in range(6) if np.allclose(known, np.round(known, d), rtol=0, atol=1e-9)), 6)
    held = moved.round(decimals).clip(like.min(), like.max())
    return held.astype(like.dtype) if pd.api.types.is_integer_dtype(like) else held
