"""What `given` columns mean to a table's codec: known tokens, and what derived columns allow of those that decide them.

Cells that the model could never draw are refused: it has learnt nothing about rows that hold them.
"""

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.cells import numbers_of
from generators.tabular.codec import TableCodec
from generators.tabular.identifiers import IdCodec
from generators.tabular.numeric import NumericCodec
from sources.errors import did_you_mean

NEAR = 1e-9  # of the width of a column's range: what rounding moves a number by


def known_tokens(given: pd.DataFrame, n: int, codec: TableCodec) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the tokens of given columns, N T (-1 unknown), and what derived ones allow of their determinants.

    Ids are kept as they are given and say nothing of the other columns.

    Args:
        given: canonical columns.
        n: the rows that there should be.
        codec: of the model.

    Raises:
        GeneratorInputError: another number of rows, an unknown column, cells that the model cannot draw or that break
            a rule, or a column that others are needed for (see `relations`).

    """
    _check_shape(given, n, codec)
    given = codec.modelled(given)
    for name in given.columns:  # constant columns too, which have no token
        column = codec.columns[name]
        if isinstance(column, IdCodec):
            continue
        unseen = codec.encode_column(name, given[name]) < 0
        if unseen.any():
            raise _unseen(name, int(unseen.sum()))
        if isinstance(column, NumericCodec):
            beyond = _beyond(column, numbers_of(codec.relations.modelled[name], given[name]))
            if beyond.any():
                raise _out_of_range(name, int(beyond.sum()))
    allowed: dict[int, np.ndarray] = {}
    for name, (determinant, table) in codec.derived.items():
        decider = codec.position(determinant)
        if name not in given.columns or determinant in given.columns or decider is None:
            continue
        wanted = codec.encode_column(name, given[name])
        possible = (table[None, :] == wanted[:, None]) & codec.tokens[decider].emit & allowed.get(decider, True)
        if not possible.any(axis=1).all():
            raise _unseen(name, int((~possible.any(axis=1)).sum()))
        allowed[decider] = possible
    return codec.encode_modelled(given), allowed


def _check_shape(given: pd.DataFrame, n: int, codec: TableCodec) -> None:
    if len(given) != n:
        raise GeneratorInputError(
            "given: one row is needed for each row to draw",
            seen=f"{len(given)} rows for n = {n}",
            remedy="make them equal",
        )
    for name in given.columns:
        if name not in codec.columns:
            raise GeneratorInputError(
                f"given: no such column{did_you_mean(str(name), codec.columns)}",
                seen=str(name),
                remedy="name a column of the training data",
            )


def _beyond(codec: NumericCodec, values: np.ndarray) -> np.ndarray:
    """Return which of `values` (float64 N, NaN where missing) no draw can give, bool N.

    A range leaf gives every number between its ends, an exact one its own; where there are ranges, what lies between
    two leaves is read as the nearest of them.
    """
    known: np.ndarray = ~np.isnan(values)
    if len(codec.knots):
        ends = codec.lattice.snap(np.array([codec.knots.min(), codec.knots.max()]))
        slack = NEAR * max(float(ends[1] - ends[0]), float(np.abs(ends).max()))
        if codec.exact.all():
            centres = np.sort(codec.knots[:, 0])
            place = np.clip(np.searchsorted(centres, values - slack), 0, len(centres) - 1)
            known &= np.abs(centres[place] - values) > slack
        else:
            known &= (values < ends[0] - slack) | (values > ends[1] + slack)
    return known


def _unseen(column: str, cells: int) -> GeneratorInputError:
    return GeneratorInputError(
        f"given: column {column!r} holds values that the training data does not show",
        seen=f"{cells} cells",
        remedy="give values that occur in the training data often enough to be kept",
    )


def _out_of_range(column: str, cells: int) -> GeneratorInputError:
    return GeneratorInputError(
        f"given: column {column!r} holds numbers that the model never draws",
        seen=f"{cells} cells",
        remedy="give numbers inside the range of the training data, without its few most extreme rows",
    )
