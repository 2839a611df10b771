"""How many rows share an id: sizes with the share of ids that have them, none of them of few ids."""

from collections import defaultdict
from itertools import groupby

SUPPORT = 20  # ids that must share what is kept of them: a number of rows, a length, a literal character


def repeats_of(sizes: list[int]) -> tuple[tuple[int, float], ...]:
    """Return (rows, number of ids) for sorted numbers of rows per id; sizes of too few ids are pooled to their mean."""
    pools: list[list[int]] = []
    for _, same in groupby(sizes):
        if not pools or len(pools[-1]) >= SUPPORT:
            pools.append([])
        pools[-1].extend(same)
    if len(pools) > 1 and len(pools[-1]) < SUPPORT:
        last = pools.pop()
        pools[-1].extend(last)
    shares: defaultdict[int, float] = defaultdict(float)
    for pool in pools if len(sizes) >= SUPPORT else []:
        inner = pool if pool[0] == pool[-1] else pool[:-1]  # without the one that has most
        low, rest = divmod(sum(inner), len(inner))
        shares[low] += len(pool) * (1 - rest / len(inner))
        shares[low + 1] += len(pool) * rest / len(inner)
    return tuple((size, share) for size, share in sorted(shares.items()) if share) or ((1, 1.0),)
