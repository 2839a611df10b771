"""An exponential moving average of a network's weights: what is validated and what is kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The average of all parameters of `network`; buffers are taken as they are.

    Args:
        network: whose parameters are followed.
        decay: the weight of the past, 0 to 1. Early on it is (1 + step) / (10 + step), so that the average does not
            drag the initial weights along (as TensorFlow's `ExponentialMovingAverage(num_updates)`).

    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin at the weights that the network has now."""
        self.decay = decay
        self._names = [name for name, _ in network.named_parameters()]
        self._live = [parameter.detach() for parameter in network.parameters()]
        self._mean = [parameter.clone() for parameter in self._live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after step `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mean, self._live, 1.0 - decay)

    def state(self) -> dict[str, Tensor]:
        """Return the averages by parameter name, not copied."""
        return dict(zip(self._names, self._mean, strict=True))

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take over averages that `state` returned."""
        for name, mean in zip(self._names, self._mean, strict=True):
            mean.copy_(state[name])

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages into the network for the duration of the block."""
        with torch.no_grad():
            kept = [live.clone() for live in self._live]
            torch._foreach_copy_(self._live, self._mean)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._live, kept)
