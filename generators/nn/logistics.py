"""A discretised mixture of logistics for every pixel, with couplings between its channels.

Salimans et al. 2017 (arXiv 1701.05517, section 2.1 and 2.2): a pixel chooses one of K components; in it each channel
is a logistic, cut into as many bins as there are levels, whose mean is shifted by the channels before it. The bins at
both ends hold the tails, so the probabilities of all levels sum to one.

# B batch, C channels, K components, L pairs of channels C (C - 1) / 2, H height, W width
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1e-12  # of a bin's probability below which the density in its middle stands in for it


def num_parameters(channels: int, components: int) -> int:
    """Return the numbers that describe one pixel: K (1 + 2 C + L).

    >>> num_parameters(1, 4), num_parameters(3, 10)
    (12, 100)
    """
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


@dataclass(frozen=True)
class Mixture:
    """The distribution of every pixel of a batch.

    Args:
        logits: of the components, float32 B K H W.
        means: before couplings, in [-1, 1] mostly, float32 B C K H W.
        log_scales: bounded, float32 B C K H W.
        couplings: of channel j with those before it, (1, 0), (2, 0), (2, 1), ..., in [-1, 1], float32 B L K H W.
        levels: of a pixel, 256 or 65,536.

    """

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    couplings: Tensor
    levels: int

    def log_likelihood(self, pixels: Tensor) -> Tensor:
        """Return log p of `pixels` (float32 B C H W, levels scaled to [-1, 1]) in nats, B H W, summed over channels."""
        half = 1 / (self.levels - 1)
        at = pixels[:, :, None]  # B C 1 H W
        centred = at - self._coupled(at)
        narrow = torch.exp(-self.log_scales)
        upper, lower = narrow * (centred + half), narrow * (centred - half)
        inside = torch.sigmoid(upper) - torch.sigmoid(lower)
        middle = narrow * centred
        density = middle - self.log_scales - 2 * torch.nn.functional.softplus(middle) + math.log(2 * half)
        between = torch.where(inside > SMALLEST, inside.clamp(min=SMALLEST).log(), density)
        first = upper - torch.nn.functional.softplus(upper)  # log sigmoid
        last = -torch.nn.functional.softplus(lower)
        edge = half / 2  # nearer to an end than to the next level
        logs = torch.where(at < -1 + edge, first, torch.where(at > 1 - edge, last, between))
        return torch.logsumexp(logs.sum(1) + torch.log_softmax(self.logits, dim=1), dim=1)

    def likeliest_means(self) -> Tensor:
        """Return the mean of each pixel's likeliest component, float32 B C H W, in [-1, 1]."""
        return self._means_of(self.logits.argmax(dim=1, keepdim=True), None, 0.0)

    def draw(self, generator: torch.Generator, *, temperature: float) -> Tensor:
        """Return pixels, float32 B C H W in [-1, 1]: each by itself, its scale times `temperature`."""
        uniform = torch.rand(self.logits.shape, generator=generator, device=self.logits.device)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-7, 1 - 1e-7)))
        return self._means_of((self.logits + gumbel).argmax(dim=1, keepdim=True), generator, temperature)

    def _means_of(self, chosen: Tensor, generator: torch.Generator | None, temperature: float) -> Tensor:
        """Return pixels at the means of the components `chosen` (int64 B 1 H W), plus logistic noise."""
        channels = self.means.shape[1]
        pick = chosen[:, None]  # B 1 1 H W
        means = torch.take_along_dim(self.means, pick, dim=2)[:, :, 0]
        if generator is not None and temperature > 0:
            uniform = torch.rand(means.shape, generator=generator, device=means.device).clamp(1e-5, 1 - 1e-5)
            scales = torch.exp(torch.take_along_dim(self.log_scales, pick, dim=2)[:, :, 0])
            means = means + temperature * scales * torch.logit(uniform)
        drawn: list[Tensor] = []
        pair = 0
        for channel in range(channels):
            value = means[:, channel]
            for before in drawn:
                coupling = torch.take_along_dim(self.couplings[:, pair], chosen, dim=1)[:, 0]
                value = value + coupling * before
                pair += 1
            drawn.append(value.clamp(-1, 1))
        return torch.stack(drawn, dim=1)

    def _coupled(self, at: Tensor) -> Tensor:
        """Return the means given the true channels before, B C K H W; `at` is B C 1 H W."""
        channels = self.means.shape[1]
        if channels == 1:
            return self.means
        shifts = [torch.zeros_like(self.means[:, 0])]
        pair = 0
        for channel in range(1, channels):
            shift = torch.zeros_like(self.means[:, 0])
            for before in range(channel):
                shift = shift + self.couplings[:, pair] * at[:, before]
                pair += 1
            shifts.append(shift)
        return self.means + torch.stack(shifts, dim=1)


def mixture_of(parameters: Tensor, channels: int, components: int, levels: int, *, offset: Tensor) -> Mixture:
    """Return the distributions that a network's output stands for.

    Args:
        parameters: float B `num_parameters` H W, any size.
        channels: C.
        components: K.
        levels: of a pixel.
        offset: where the means begin, float32 C K.

    """
    parameters = parameters.float()
    pairs = channels * (channels - 1) // 2
    batch, _, height, width = parameters.shape
    logits, means, raw, couplings = torch.split(
        parameters, [components, channels * components, channels * components, pairs * components], dim=1
    )
    low, high = math.log(1 / (2 * (levels - 1))), math.log(2.0)  # a quarter of a bin to the whole range
    share = torch.sigmoid(raw.view(batch, channels, components, height, width))
    return Mixture(
        logits=logits,
        means=means.view(batch, channels, components, height, width) + offset[None, :, :, None, None],
        log_scales=low + (high - low) * share,
        couplings=torch.tanh(couplings.view(batch, pairs, components, height, width)),
        levels=levels,
    )
