"""The discretised mixture of logistics, against sums over all levels and a reference that loops."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import special, stats

from generators.nn.logistics import Mixture, mixture_of, num_parameters


def mixture(channels: int, components: int, levels: int, *, scale: float = 1.0, seed: int = 1) -> Mixture:
    """A mixture for one pixel; `scale` spreads its parameters."""
    generator = torch.Generator().manual_seed(seed)
    parameters = scale * torch.randn((1, num_parameters(channels, components), 1, 1), generator=generator)
    offset = torch.linspace(-0.5, 0.5, components).expand(channels, -1)
    return mixture_of(parameters, channels, components, levels, offset=offset)


def all_pixels(channels: int, levels: int) -> torch.Tensor:
    """Every pixel that there is, B C 1 1."""
    found = torch.tensor(list(itertools.product(range(levels), repeat=channels)), dtype=torch.float32)
    return (found * (2 / (levels - 1)) - 1)[:, :, None, None]


def repeated(one: Mixture, times: int) -> Mixture:
    parts = (one.logits, one.means, one.log_scales, one.couplings)
    return Mixture(*(part.expand(times, *part.shape[1:]) for part in parts), levels=one.levels)


@pytest.mark.parametrize(("channels", "levels"), [(1, 256), (1, 65_536), (3, 6), (4, 4)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_probabilities_of_all_levels_sum_to_one(channels: int, levels: int, seed: int) -> None:
    pixels = all_pixels(channels, levels)
    one = repeated(mixture(channels, 3, levels, seed=seed), len(pixels))
    assert float(one.log_likelihood(pixels).double().exp().sum()) == pytest.approx(1.0, abs=2e-3)


def test_equals_a_reference_that_loops_over_components_and_channels() -> None:
    channels, components, levels = 3, 2, 11
    one = mixture(channels, components, levels)
    pixels = all_pixels(channels, levels)[::37]
    found = repeated(one, len(pixels)).log_likelihood(pixels)[:, 0, 0].numpy()
    shares = special.softmax(one.logits[0, :, 0, 0].double().numpy())
    half = 1 / (levels - 1)
    for pixel, value in zip(pixels[:, :, 0, 0].double().numpy(), found, strict=True):
        total = 0.0
        for number in range(components):
            means, coupling = one.means[0, :, number, 0, 0], one.couplings[0, :, number, 0, 0]
            shifts = [0.0, float(coupling[0]) * pixel[0], float(coupling[1]) * pixel[0] + float(coupling[2]) * pixel[1]]
            product = shares[number]
            for channel in range(channels):
                law = stats.logistic(
                    float(means[channel]) + shifts[channel], math.exp(one.log_scales[0, channel, number])
                )
                low = 0.0 if pixel[channel] < -1 + half / 2 else law.cdf(pixel[channel] - half)
                high = 1.0 if pixel[channel] > 1 - half / 2 else law.cdf(pixel[channel] + half)
                product *= high - low
            total += product
        assert value == pytest.approx(math.log(total), abs=1e-3)


@pytest.mark.parametrize("levels", [256, 65_536])
@pytest.mark.parametrize("scale", [30.0, 300.0])
def test_likelihood_and_gradient_are_finite_however_large_the_parameters(levels: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(2)
    parameters = (scale * torch.randn((4, num_parameters(3, 5), 6, 6), generator=generator)).requires_grad_()
    pixels = torch.rand((4, 3, 6, 6), generator=generator) * 2 - 1
    pixels[0], pixels[1] = -1.0, 1.0
    found = mixture_of(parameters, 3, 5, levels, offset=torch.zeros(3, 5)).log_likelihood(pixels)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert bool(torch.isfinite(found).all())
    assert parameters.grad is not None
    assert bool(torch.isfinite(parameters.grad).all())


def test_draws_follow_the_probabilities() -> None:
    """A chi-squared test of 20,000 draws over the levels; false alarm rate 1e-4."""
    levels, n = 12, 20_000
    one = mixture(1, 3, levels)
    drawn = repeated(one, n).draw(torch.Generator().manual_seed(3), temperature=1.0)
    counts = np.bincount(((drawn[:, 0, 0, 0] + 1) / 2 * (levels - 1)).round().long().numpy(), minlength=levels)
    pixels = all_pixels(1, levels)
    shares = repeated(one, levels).log_likelihood(pixels)[:, 0, 0].exp().numpy()
    assert stats.chisquare(counts, n * shares / shares.sum()).pvalue > 1e-4


def test_the_likeliest_means_are_those_of_the_heaviest_component() -> None:
    one = mixture(1, 3, 256)
    heaviest = int(one.logits[0, :, 0, 0].argmax())
    assert float(one.likeliest_means()) == pytest.approx(float(one.means[0, 0, heaviest, 0, 0].clamp(-1, 1)))
