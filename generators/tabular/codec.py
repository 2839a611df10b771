"""A table as small integers and back: what every tabular network reads and writes.

Each column becomes one token, or two (a coarse one and, conditional on it, a fine one). Columns that another column
decides, constant columns and ids have none: they are derived, repeated or made anew on decoding. Columns that rules tie
to others are changed into gaps before all that, and back after it (`relations`). Nothing in a codec
belongs to fewer than `min_support` rows (numbers: see `numeric`); labels of fewer rows share one token that is learnt
but never emitted.

    codec = fit_codec(train, CodecConfig(), seed=7)
    tokens = codec.encode(train.frame)           # int16 N T
    frame = codec.decode(tokens, seed=8)         # all columns, canonical
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.cells import cells_of, lattice_of, numbers_of
from generators.tabular.dependencies import Dependency, find_dependencies
from generators.tabular.derivations import Derivation
from generators.tabular.echoes import echo_tokens, echoed_numbers, find_echoes
from generators.tabular.entities import entities_of, one_each
from generators.tabular.identifiers import ROOM, IdCodec, fit_declared_id
from generators.tabular.labels import LabelCodec, fit_labels, most_labels, texts_of
from generators.tabular.numeric import LEAF_ROWS, NumericCodec, fit_numeric
from generators.tabular.personal import person_of
from generators.tabular.relation_fit import fit_relations
from generators.tabular.relations import Relations
from generators.tabular.row_tokens import ColumnCodec, Token, size_of, tokens_of
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema

__all__ = ["CodecConfig", "TableCodec", "Token", "fit_codec"]

FORMAT = "understudy-table-codec-1"


@dataclass(frozen=True, kw_only=True)
class CodecConfig:
    """What the codec may keep.

    Args:
        min_support: rows (entities, where the schema has their key) that must hold a label before it can be emitted.
        derive: leave out columns that another one decides without exception.
        relations: between columns, which hold in every sampled row: those `declared` in the schema, or also those
            `found` on the training rows.

    """

    min_support: int = 5
    derive: bool = True
    relations: Literal["declared", "found"] = "declared"

    def __post_init__(self) -> None:
        """Refuse a support that means nothing."""
        if self.min_support < 1:
            raise GeneratorInputError(
                "codec: min_support must be positive", seen=self.min_support, remedy="leave it out for 5"
            )


@dataclass(frozen=True, kw_only=True)
class TableCodec:
    """The codecs of all columns of a schema.

    Args:
        schema: of the table.
        relations: what is derived from what; the codecs and tokens below are of the columns that it leaves.
        columns: name -> codec, for every modelled column.
        tokens: what `encode` returns, in order; all coarse ones before all fine ones.
        dependencies: positions in them count single-token columns as in `derivable`.
        derivable: names of the columns that dependencies count.

    """

    schema: Schema
    relations: Relations
    columns: dict[str, ColumnCodec]
    tokens: tuple[Token, ...]
    dependencies: tuple[Dependency, ...]
    derivable: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of tokens at each position."""
        return tuple(token.size for token in self.tokens)

    @property
    def dtype(self) -> type[np.int16 | np.int32]:
        """The type of tokens: int16, or int32 where a column has more labels than that holds."""
        return np.int16 if max(self.sizes, default=0) < np.iinfo(np.int16).max else np.int32

    @property
    def derived(self) -> dict[str, tuple[str, np.ndarray]]:
        """Derived column -> (the column that decides it, int64 table from its token to theirs)."""
        return {
            self.derivable[rule.determined]: (self.derivable[rule.determinant], rule.table)
            for rule in self.dependencies
        }

    def position(self, column: str, level: Literal["coarse", "fine"] = "coarse") -> int | None:
        """Return the position of a column's token, or None where it has none."""
        found = (number for number, token in enumerate(self.tokens) if (token.column, token.level) == (column, level))
        return next(found, None)

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the tokens, `dtype` N T, of a canonical frame; -1 where a column is absent or a cell has no token."""
        return self.encode_modelled(self.relations.separate(frame))

    def modelled(self, given: pd.DataFrame) -> pd.DataFrame:
        """Return what is modelled of canonical columns to condition on, gaps in place of derived columns.

        Raises:
            GeneratorInputError: a derived column stands without what it is derived from, or rows break a rule.

        """
        self.relations.check_given(given)
        return self.relations.separate(given)

    def encode_modelled(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the tokens as `encode` does, for a frame of modelled columns."""
        tokens = np.full((len(frame), len(self.tokens)), -1, dtype=self.dtype)
        parts = {name: self._encode_column(name, frame[name]) for name in frame.columns if name in self.columns}
        numbers = self._numbers_repeated(frame)
        for name, codec in self._echoing():
            if name in parts:
                others = [numbers.get(other) for other in codec.echoes]
                parts[name] = echo_tokens(codec, parts[name], numbers[name], others)
        for position, token in enumerate(self.tokens):
            if token.column in parts:
                tokens[:, position] = parts[token.column][:, 0 if token.level == "coarse" else 1]
        return tokens

    def encode_column(self, name: str, values: pd.Series) -> np.ndarray:
        """Return the coarse tokens, int64 N, of a modelled column, decided ones too; -1 for what has no token."""
        return self._encode_column(name, values)[:, 0]

    def decode(
        self,
        tokens: np.ndarray,
        *,
        seed: int,
        given: pd.DataFrame | None = None,
        present: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """Return the canonical frame, all columns, for tokens (int N T); same seed, same frame.

        Columns that are `given` (canonical, N rows) stand as they are, and others are derived from them so. Cells that
        are `present` (canonical, N rows, missing where they are not; None is those given) are what others repeat.
        """
        parts: dict[str, np.ndarray] = {}
        for name in self.columns:
            position, fine = self.position(name), self.position(name, "fine")
            coarse = np.zeros(len(tokens), dtype=np.int64) if position is None else tokens[:, position].astype(np.int64)
            second = np.zeros_like(coarse) if fine is None else tokens[:, fine].astype(np.int64)
            parts[name] = np.column_stack([coarse, second])
        for name, (determinant, table) in self.derived.items():
            parts[name][:, 0] = table[parts[determinant][:, 0]]
        series = {
            column.name: self._decode_column(
                column, parts[column.name], stream(seed, "decode", *person_of(self.schema, column))
            )
            for column in self.relations.modelled.columns
        }
        present = given if present is None else present
        known = {} if present is None else self._numbers_repeated(self.relations.separate(present))
        for name, codec in self._echoing():
            there = [self._repeated(other, series, known) for other in codec.echoes]
            column, rng = self.relations.modelled[name], stream(seed, "echo", name)
            numbers = echoed_numbers(codec, parts[name][:, 0], numbers_of(column, series[name]), there, rng)
            series[name] = cells_of(column, numbers)
        frame = pd.DataFrame(series, index=pd.RangeIndex(len(tokens)))
        return self._kept_unique(self.relations.join(frame, seed=seed, given=given), seed, given)

    def _echoing(self) -> list[tuple[str, NumericCodec]]:
        """Return the columns that repeat others, in the order of the table."""
        return [(name, one) for name, one in self.columns.items() if isinstance(one, NumericCodec) and one.echoes]

    def _numbers_repeated(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """Return the numbers, float64 N, of columns of a modelled frame that repeat others or are repeated."""
        used = {name for column, codec in self._echoing() for name in (column, *codec.echoes)}
        modelled = self.relations.modelled
        return {name: numbers_of(modelled[name], frame[name]) for name in used & {*frame}}

    def _repeated(self, name: str, series: Mapping[str, pd.Series], known: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the numbers of a column, those that are known in place of the decoded ones."""
        decoded = numbers_of(self.relations.modelled[name], series[name])
        return np.where(np.isnan(known[name]), decoded, known[name]) if name in known else decoded

    def _kept_unique(self, frame: pd.DataFrame, seed: int, given: pd.DataFrame | None) -> pd.DataFrame:
        """Return the frame with a new id in every row that agrees with another in all of what is declared unique."""
        for rule in self.schema.rules:
            ids = [name for name in rule.columns if isinstance(self.columns.get(name), IdCodec)]
            ids = [name for name in ids if given is None or name not in given.columns]
            if rule.kind != "unique" or not ids:
                continue
            rows = frame[list(rule.columns)].dropna().duplicated()
            again = rows.index[rows]
            codec = self.columns[ids[0]]
            if len(again) and isinstance(codec, IdCodec):
                taken = set(frame[ids[0]].dropna())
                others = codec.draw_others(len(again), taken, stream(seed, "unique", *rule.columns))
                frame.loc[again, ids[0]] = pd.Series(others, index=again, dtype=object)
        return frame

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON values, without the schema."""
        states = {}
        for name, codec in self.columns.items():
            if isinstance(codec, LabelCodec):
                states[name] = {"kind": "label", **codec.to_json()}
            else:
                kind = "numeric" if isinstance(codec, NumericCodec) else "id"
                states[name] = {"kind": kind, "state": codec.to_json()}
        return {
            "format": FORMAT,
            "relations": [rule.to_json() for rule in self.relations.derivations],
            "columns": states,
            "dependencies": [rule.to_json() for rule in self.dependencies],
            "derivable": list(self.derivable),
        }

    @staticmethod
    def from_json(state: dict[str, Any], schema: Schema) -> "TableCodec":
        """Return the codec that `to_json` described."""
        assert state["format"] == FORMAT, f"not a table codec of this version: {state['format']}"
        columns: dict[str, ColumnCodec] = {}
        for name, one in state["columns"].items():
            if one["kind"] == "label":
                columns[name] = LabelCodec.from_json(one)
            elif one["kind"] == "numeric":
                columns[name] = NumericCodec.from_json(one["state"])
            else:
                columns[name] = IdCodec.from_json(one["state"])
        rules = tuple(Dependency.from_json(rule) for rule in state["dependencies"])
        derivable = tuple(state["derivable"])
        left_out = {derivable[rule.determined] for rule in rules}
        return TableCodec(
            schema=schema,
            relations=Relations(
                schema=schema, derivations=tuple(Derivation.from_json(one) for one in state["relations"])
            ),
            columns=columns,
            tokens=tokens_of(columns, left_out),
            dependencies=rules,
            derivable=derivable,
        )

    def notes(self, train: pd.DataFrame) -> tuple[str, ...]:
        """Return sentences about what of `train` the codec cannot give back; names and counts, no values."""
        notes = list(self.relations.notes(train))
        train = self.relations.separate(train)
        for name, codec in self.columns.items():
            if isinstance(codec, LabelCodec) and codec.rare:
                counts = train[name].value_counts()
                rare = counts[~counts.index.astype(str).isin(codec.labels)]
                notes.append(
                    f"{name}: {len(rare)} labels with too few rows each ({rare.sum() / len(train):.2%} of rows) are "
                    "learnt as one and never emitted"
                )
            if isinstance(codec, NumericCodec) and not len(codec.knots) and train[name].notna().any():
                notes.append(f"{name}: fewer than {LEAF_ROWS} cells are present; it is missing throughout the sample")
            if isinstance(codec, IdCodec) and codec.made is not None:
                notes.append(f"{name}: {codec.made.note}")
            elif isinstance(codec, IdCodec):
                notes.append(f"{name}: ids are made anew in the format of the source and relate to no other column")
                crowd = codec.room / max(train[name].nunique(), 1)
                if crowd < ROOM and self.schema[name].rules.pattern is not None:
                    notes.append(f"{name}: of its declared pattern; one new id in {crowd:,.0f} is one of the source")
        if any(isinstance(codec, NumericCodec) and not codec.exact.all() for codec in self.columns.values()):
            notes.append("numbers: tails end at the mean of the second to sixth most extreme training rows")
        unique = [rule.columns for rule in self.schema.rules if rule.kind == "unique"]
        unique += [(column.name,) for column in self.schema.columns if column.rules.unique]
        notes.extend(
            f"{', '.join(names)}: declared unique, but drawn row by row: kept by chance alone"
            for names in unique
            if not any(isinstance(self.columns[name], IdCodec) for name in names)
        )
        notes.extend(
            f"{name}: repeats {' or '.join(codec.echoes)} to the last digit in some rows, as in training"
            for name, codec in self._echoing()
        )
        notes.extend(f"{name}: derived from {other}, which decides it" for name, (other, _) in self.derived.items())
        return tuple(notes)

    def _encode_column(self, name: str, values: pd.Series) -> np.ndarray:
        """Return coarse and fine tokens, int64 N 2."""
        return _encoded(self.columns[name], self.relations.modelled[name], values)

    def _decode_column(self, column: Column, tokens: np.ndarray, rng: np.random.Generator) -> pd.Series:
        codec = self.columns[column.name]
        if isinstance(codec, IdCodec):
            return pd.Series(codec.draw(len(tokens), rng), dtype=object)
        if isinstance(codec, LabelCodec):
            labels = codec.decode(tokens[:, 0], tokens[:, 1])
            if column.kind == "boolean":
                return pd.Series([None if text is None else text == "True" for text in labels], dtype="boolean")
            return pd.Series(labels, dtype=object)
        numbers = codec.decode(tokens[:, 0], tokens[:, 1], rng)
        return cells_of(column, numbers)


def fit_codec(train: Dataset, config: CodecConfig, *, seed: int) -> TableCodec:
    """Learn the codec of `train`.

    Args:
        train: canonical rows, at least `LEAF_ROWS`.
        config: what may be kept.
        seed: of the places of bin edges.

    Raises:
        GeneratorInputError: too few rows, a kind that is not modelled, infinite numbers, a column of rare labels alone.

    """
    if len(train) < LEAF_ROWS:
        raise GeneratorInputError(
            "too few rows to learn anything but themselves",
            seen=f"{len(train)} rows",
            remedy=f"give at least {LEAF_ROWS} training rows",
        )
    _refuse_unlearnable(train)
    relations = fit_relations(train, find=config.relations == "found", seed=seed)
    frame = relations.separate(train.frame)
    columns: dict[str, ColumnCodec] = {}
    entities = entities_of(train)
    most = most_labels(sum(column.kind == "categorical" for column in relations.modelled.columns))
    for column in relations.modelled.columns:
        values = frame[column.name]
        if column.kind == "id":
            columns[column.name] = fit_declared_id(column, texts_of(values))
        elif column.kind in ("categorical", "boolean"):
            columns[column.name] = fit_labels(column, values, config.min_support, entities, most)
        else:
            numbers = numbers_of(column, values)
            support = one_each(pd.Series(numbers), entities).to_numpy()
            rng = stream(seed, "codec", column.name)
            columns[column.name] = fit_numeric(numbers, lattice_of(column, support), rng, support=support)
    columns = _arranged(_echoing(columns, frame, relations, entities, seed), frame, relations, seed)
    derivable = tuple(name for name, codec in columns.items() if _is_derivable(codec))
    rules: tuple[Dependency, ...] = ()
    if config.derive and derivable:
        bare = TableCodec(
            schema=train.schema,
            relations=relations,
            columns=columns,
            tokens=tokens_of(columns, set()),
            dependencies=(),
            derivable=derivable,
        )
        tokens = np.column_stack([bare.encode_column(name, frame[name]) for name in derivable])
        decidable = {number for number, name in enumerate(derivable) if not _has_rare(columns[name])}
        rules = tuple(find_dependencies(tokens, [size_of(columns[name]) for name in derivable], decidable))
    left_out = {derivable[rule.determined] for rule in rules}
    return TableCodec(
        schema=train.schema,
        relations=relations,
        columns=columns,
        tokens=tokens_of(columns, left_out),
        dependencies=rules,
        derivable=derivable,
    )


def _arranged(
    columns: dict[str, ColumnCodec], frame: pd.DataFrame, relations: Relations, seed: int
) -> dict[str, ColumnCodec]:
    """Return the codecs of all columns, with labels in clusters next to those that are like them."""
    clustered = {name: codec for name, codec in columns.items() if isinstance(codec, LabelCodec) and codec.clusters}
    if not clustered:
        return columns
    tokens = {
        name: _encoded(codec, relations.modelled[name], frame[name])
        for name, codec in columns.items()
        if size_of(codec) > 1
    }
    return columns | {
        name: codec.arranged(
            tokens[name],
            [other[:, 0] for other_name, other in tokens.items() if other_name != name],
            stream(seed, "codec", "likeness", name),
        )
        for name, codec in clustered.items()
    }


def _echoing(
    columns: dict[str, ColumnCodec],
    frame: pd.DataFrame,
    relations: Relations,
    entities: np.ndarray | None,
    seed: int,
) -> dict[str, ColumnCodec]:
    """Return the codecs of all columns, numbers knowing which others they repeat."""
    numeric = {name: codec for name, codec in columns.items() if isinstance(codec, NumericCodec)}
    rows = np.arange(len(frame)) if entities is None else np.unique(entities, return_index=True)[1]  # one of each
    numbers = {name: numbers_of(relations.modelled[name], frame[name])[rows] for name in numeric}
    found = find_echoes(numbers, numeric, stream(seed, "echoes"))
    return columns | {name: replace(numeric[name], echoes=echoes) for name, echoes in found.items()}


def _refuse_unlearnable(train: Dataset) -> None:
    for column in train.schema.columns:
        if column.kind in ("text", "image"):
            raise GeneratorInputError(
                f"column {column.name!r}: {column.kind} is not modelled by tabular synthesizers",
                seen=f"kind {column.kind}",
                remedy="leave it out (drop: true), or set its kind to categorical (repeated labels) or id (made anew)",
            )
        if column.kind == "numeric":
            infinite = int(np.isinf(train.frame[column.name].to_numpy(dtype=np.float64)).sum())
            if infinite:
                raise GeneratorInputError(
                    f"column {column.name!r}: infinite numbers",
                    seen=f"{infinite} cells",
                    remedy="mark them as missing, or drop the rows",
                )


def _encoded(codec: ColumnCodec, column: Column, values: pd.Series) -> np.ndarray:
    """Return the coarse and fine tokens, int64 N 2, of canonical cells."""
    if isinstance(codec, IdCodec):
        return np.full((len(values), 2), -1, dtype=np.int64)
    if isinstance(codec, LabelCodec):
        return codec.encode(texts_of(values))
    return codec.encode(numbers_of(column, values))


def _is_derivable(codec: ColumnCodec) -> bool:
    """Return whether one token says everything about a cell."""
    if isinstance(codec, NumericCodec):
        return codec.num_fine == 1 and bool(codec.exact.all()) and len(codec.exact) > 0
    return isinstance(codec, LabelCodec) and codec.num_fine == 1


def _has_rare(codec: ColumnCodec) -> bool:
    return isinstance(codec, LabelCodec) and codec.rare
