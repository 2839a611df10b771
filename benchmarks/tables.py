"""Tables of results as Markdown."""

import pandas as pd


def markdown(table: pd.DataFrame) -> str:
    """Return the columns of `table` with its cells to four digits; what is missing is left blank.

    >>> print(markdown(pd.DataFrame({"family": ["vae"], "s": [12.3456], "steps": [7]})))
    | family | s | steps |
    |---|---|---|
    | vae | 12.35 | 7 |
    """
    rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
    lines = [list(map(str, table.columns)), *rows]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], "|---" * len(table.columns) + "|", *text[1:]])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"  # noqa: PLR0124 - NaN alone differs from itself
    return str(value)
