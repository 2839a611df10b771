"""How much of each pixel's own spread is drawn: as much as held-out pictures have."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from generators.image.painter import Form, Pictures
from generators.image.pixels import Held
from generators.image.vae_grain import chosen_grain, pixels_of
from generators.nn.logistics import Mixture

SIDE, SPREAD = 8, 0.15


def faces(tokens: Tensor, generator: torch.Generator, components: int = 1) -> Mixture:
    """Return pixels about a plane that leans as a normal draw says, B 1 K H W, each with the spread `SPREAD`."""
    slope = torch.randn((len(tokens), 1, 1, 1, 1), generator=generator) * 0.5
    means = slope * torch.linspace(-1, 1, SIDE).expand(len(tokens), 1, components, SIDE, SIDE)
    return Mixture(
        logits=torch.zeros((len(tokens), components, SIDE, SIDE)),
        means=means,
        log_scales=torch.full_like(means, math.log(SPREAD)),
        couplings=torch.zeros((len(tokens), 0, components, SIDE, SIDE)),
        levels=256,
    )


def pictures_with(grain: float | None, n: int = 600) -> Pictures:
    generator = torch.Generator().manual_seed(5)
    drawn = pixels_of(faces(torch.zeros((n, 0), dtype=torch.int64), generator), grain, generator)
    images = ((drawn.permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    return Pictures(
        form=Form(shape=(SIDE, SIDE, 1), levels=256, sizes=(), ranks=()),
        images=images,
        tokens=np.zeros((n, 0), dtype=np.int64),
        held=np.arange(n) % 2 == 0,
    )


@pytest.mark.parametrize(("grain", "found"), [(1.0, 1.0), (0.5, 0.5), (0.0, None)])
def test_pictures_are_drawn_with_the_grain_of_those_held_out(grain: float, found: float | None) -> None:
    """Means of one component are the same by either name: the likeliest component's, or that of the one drawn."""
    pictures = pictures_with(grain)
    held = Held(pictures.images, torch.device("cpu"))
    assert chosen_grain(pictures, held, faces, seed=1) == found
    assert chosen_grain(pictures, held, faces, seed=1) == found


def test_nothing_is_chosen_by_fewer_pictures_than_can_be_compared() -> None:
    pictures = pictures_with(1.0, n=10)
    assert chosen_grain(pictures, Held(pictures.images, torch.device("cpu")), faces, seed=1) is None
