"""A picture's symbols cut into square cells, which are read row by row, and put together again.

# N pictures, H height, W width, S symbols of a pixel, P side of a cell, R rows and C columns of cells, D = P P S
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Cells:
    """How a picture is cut.

    Args:
        height, width: of a picture.
        symbols: S.
        side: P.

    """

    height: int
    width: int
    symbols: int
    side: int

    @property
    def rows(self) -> int:
        """R; the last row may reach beyond the picture."""
        return -(-self.height // self.side)

    @property
    def columns(self) -> int:
        """C; the last column may reach beyond the picture."""
        return -(-self.width // self.side)

    def cut(self, symbols: np.ndarray) -> np.ndarray:
        """Return cells, N R*C D, of symbols, N H W S; what lies beyond the picture is 0."""
        side = self.side
        beyond = ((0, 0), (0, self.rows * side - self.height), (0, self.columns * side - self.width), (0, 0))
        whole = np.pad(symbols, beyond)
        parts = whole.reshape(len(symbols), self.rows, side, self.columns, side, self.symbols)
        return np.ascontiguousarray(parts.transpose(0, 1, 3, 2, 4, 5)).reshape(
            len(symbols), self.rows * self.columns, -1
        )

    def joined(self, cells: np.ndarray) -> np.ndarray:
        """Return symbols, N H W S, of cells, N R*C D."""
        side = self.side
        parts = cells.reshape(len(cells), self.rows, self.columns, side, side, self.symbols)
        whole = parts.transpose(0, 1, 3, 2, 4, 5).reshape(
            len(cells), self.rows * side, self.columns * side, self.symbols
        )
        return np.ascontiguousarray(whole[:, : self.height, : self.width])

    def inside(self) -> np.ndarray:
        """Return which symbols of which cells belong to the picture, bool R*C D."""
        ones = np.ones((1, self.height, self.width, self.symbols), dtype=np.uint8)
        return np.asarray(self.cut(ones)[0] == 1)
