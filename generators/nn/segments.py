"""One vector of logits for many categorical variables, each with a segment of it.

# B batch, T variables, V all categories together (the sum of the sizes)
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor


def offsets_of(sizes: Sequence[int]) -> list[int]:
    """Return where each segment begins, and the end of the last.

    >>> offsets_of([2, 3])
    [0, 2, 5]
    """
    return [0, *accumulate(sizes)]


def segmented_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the weighted sum of all cross entropies, a float32 scalar in nats.

    One pass forward and one backward over the logits, without a padded or a copied tensor per variable.

    Args:
        logits: B V, any float type.
        targets: int64 B T, within each variable's size.
        weights: float32 B T; where it is 0 the target is not looked at by the gradient.
        sizes: the T segment lengths, summing up to V.

    """
    result: Tensor = _SegmentedCrossEntropy.apply(logits, targets, weights, tuple(sizes))  # type: ignore[no-untyped-call]
    return result


class _SegmentedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, weights: Tensor, sizes: tuple[int, ...]) -> Tensor:
        offsets = offsets_of(sizes)
        parts = torch.split(logits, list(sizes), dim=1)
        log_sums = torch.stack([part.float().logsumexp(1) for part in parts], dim=1)  # B T
        places = targets + torch.tensor(offsets[:-1], device=targets.device)
        ctx.save_for_backward(logits, log_sums, places, weights)
        ctx.sizes = sizes
        return (weights * (log_sums - logits.gather(1, places).float())).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        logits, log_sums, places, weights = ctx.saved_tensors
        weights = weights * gradients[0]
        slope = torch.empty_like(logits)
        for out, part, log_sum, weight in zip(
            torch.split(slope, list(ctx.sizes), dim=1),
            torch.split(logits, list(ctx.sizes), dim=1),
            log_sums.unbind(1),
            weights.unbind(1),
            strict=True,
        ):
            out.copy_((part.float() - log_sum[:, None]).exp_().mul_(weight[:, None]))
        slope.scatter_add_(1, places, -weights.to(slope.dtype))
        return slope, None, None, None


def draw(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """Return categories, int64 B, by inverting the cumulative distribution.

    Args:
        probabilities: float B K, rows need not sum to one; a category of probability 0 is never drawn.
        uniforms: float B, in [0, 1).

    """
    cumulative = probabilities.cumsum(1, dtype=torch.float64)
    total = cumulative[:, -1:]
    below = torch.nextafter(total, torch.zeros_like(total))  # a product may round up to the total
    places = torch.minimum(uniforms.double()[:, None] * total, below)
    return torch.searchsorted(cumulative, places, right=True)[:, 0]


def stratified_uniforms(n: int, generator: torch.Generator) -> Tensor:
    """Return `n` uniforms in [0, 1), one in each interval of length 1 / n, in random order, float64 on the CPU.

    Every marginal that is drawn by them is as close to its distribution as rounding allows.
    """
    order = torch.randperm(n, generator=generator)
    return (order + torch.rand(n, generator=generator, dtype=torch.float64)) / max(n, 1)
