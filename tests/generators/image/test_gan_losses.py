"""The losses of `image.gan` against closed forms and against what automatic differentiation says by a longer way."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.image.gan_augment import Augmentation
from generators.image.gan_losses import PENALTY_EVERY, Game, squared_slopes
from generators.image.gan_networks import Architecture, Bounded, Discriminator, Generator
from generators.training.streams import isolated_rng

SMALL = Architecture(height=8, width=8, channels=1, patch=1, widths=(16, 8), depth=1, latent=4, condition=4)
SIZES, RANKS = (3,), (None,)
ROWS = torch.arange(6)


def game(*, penalty: float = 0.0, augment: float = 0.0) -> Game:
    with isolated_rng(3, torch.device("cpu")) as generator:
        g_net, d_net = Generator(SIZES, RANKS, SMALL), Discriminator(SIZES, RANKS, SMALL)
        for parameter in (*g_net.parameters(), *d_net.parameters()):  # away from where blocks are the identity
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        real, tokens = torch.rand(6, 1, 8, 8, generator=generator) * 2 - 1, torch.arange(6)[:, None] % 3
    return Game(
        g_net=g_net,
        d_net=d_net,
        augmentation=Augmentation(augment, 0.0),
        pictures=lambda rows: (real[rows], tokens[rows]),
        sizes=SIZES,
        penalty=penalty,
        penalised=1.0,
        hide=0.0,
    )


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradients(network: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("augment", [0.0, 0.8])
def test_one_backward_pass_gives_the_generator_the_gradient_that_a_pass_of_its_own_would(augment: float) -> None:
    """The other way: softplus(D(real) - D(drawn)) differentiated through discriminator and generator."""
    played = game(augment=augment)
    played.discriminator_loss((ROWS, ROWS[:0], 1), seeded()).backward()
    shown = played.generator_loss((ROWS, ROWS[:0], 1), seeded(2))
    played.g_net.zero_grad()
    shown.backward()
    found = gradients(played.g_net)

    fresh, generator = game(augment=augment), seeded()
    real, tokens = fresh.pictures(ROWS)
    torch.rand(6, generator=generator)  # what hiding attributes draws
    drawn = fresh.g_net(fresh.g_net.noise(6, generator), tokens)
    both = fresh.d_net(fresh.augmentation(torch.cat([real, drawn]), generator), tokens.repeat(2, 1))
    loss = functional.softplus(both[:6] - both[6:]).mean()
    loss.backward()
    torch.testing.assert_close(shown, loss)
    torch.testing.assert_close(found, gradients(fresh.g_net), rtol=1e-4, atol=1e-7)
    assert float(found.abs().max()) > 0


def test_after_memory_ran_out_the_generator_learns_from_the_rows_that_are_left() -> None:
    played = game()
    played.discriminator_loss((ROWS, ROWS[:0], 1), seeded()).backward()
    played.g_net.zero_grad()
    played.d_net.zero_grad()
    loss = played.generator_loss((ROWS[:2], ROWS[:0], 1), seeded(2))
    loss.backward()
    assert float(gradients(played.g_net).abs().max()) > 0
    assert all(parameter.grad is None for parameter in played.d_net.parameters())


def test_losses_of_equal_scores_are_the_logarithm_of_two() -> None:
    played = game()
    nn.init.zeros_(played.d_net.score.weight)
    nn.init.zeros_(played.d_net.score.bias)
    loss = played.discriminator_loss((ROWS, ROWS[:0], 1), seeded()).detach()
    assert float(loss) == pytest.approx(math.log(2))


def test_squared_slopes_of_a_linear_score_are_the_squares_of_its_weights() -> None:
    weight = torch.randn(3, 5, 4, generator=seeded())

    class Linear(nn.Module):
        def forward(self, pictures: Tensor, _tokens: Tensor) -> Tensor:
            return (pictures * weight).sum((1, 2, 3)) + 7

    slopes = squared_slopes(Linear(), torch.zeros(2, 3, 5, 4), torch.zeros(2, 0))
    torch.testing.assert_close(slopes, weight.square().sum().expand(2))


def test_squared_slopes_agree_with_central_differences_and_can_be_differentiated() -> None:
    """Along each of a picture's 64 values; second derivatives against differences of the first.

    A network without normalisation is piecewise linear in the picture and linear in the last weights.
    """
    d_net = game().d_net
    picture, tokens = (
        torch.rand(1, 1, 8, 8, generator=seeded()),
        torch.zeros(1, 1, dtype=torch.int64),
    )
    step = 1e-3 * torch.eye(64).view(64, 1, 8, 8)
    with torch.no_grad():
        ups, downs = d_net(picture + step, tokens.expand(64, 1)), d_net(picture - step, tokens.expand(64, 1))
    expected = ((ups - downs) / 2e-3).square().sum()
    found = squared_slopes(d_net, picture, tokens)
    torch.testing.assert_close(found[0], expected, rtol=1e-2, atol=1e-5)
    found.sum().backward()
    weight = d_net.score.weight
    assert weight.grad is not None
    slope = float(weight.grad[0, 0])
    values = []
    for sign in (1, -1):
        moved = copy.deepcopy(d_net)
        moved.score.weight.data[0, 0] += sign * 0.05
        values.append(float(squared_slopes(moved, picture, tokens)[0].detach()))
    assert slope == pytest.approx((values[0] - values[1]) / 0.1, rel=1e-2, abs=1e-4)


def test_penalties_of_every_fourth_step_add_up_to_those_of_all_steps() -> None:
    """The mean over four steps is gamma / 2 times the sum of the mean squared slopes at real and at drawn pictures."""
    with_penalty, without = game(penalty=0.5), game()
    differences = [
        float(with_penalty.discriminator_loss((ROWS, ROWS[:0], step), seeded()).detach())
        - float(without.discriminator_loss((ROWS, ROWS[:0], step), seeded()).detach())
        for step in range(PENALTY_EVERY)
    ]
    assert differences[1:] == [0.0] * (PENALTY_EVERY - 1)
    generator = seeded()
    real, tokens = without.pictures(ROWS)
    torch.rand(6, generator=generator)
    drawn = without.g_net(without.g_net.noise(6, generator), tokens).detach()
    slopes = [squared_slopes(without.d_net, pictures, tokens).mean() for pictures in (real, drawn)]
    assert sum(differences) / PENALTY_EVERY == pytest.approx(
        0.5 / 2 * sum(float(slope.detach()) for slope in slopes), rel=1e-4
    )


def test_bounded_numbers_lose_only_the_slopes_that_lead_farther_out() -> None:
    x = torch.tensor([-2.0, -2.0, 0.5, 0.5, 2.0, 2.0], requires_grad=True)
    slopes = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])  # a step goes against the slope
    bounded = Bounded.apply(x)
    (bounded * slopes).sum().backward()
    assert bounded.tolist() == [-1.0, -1.0, 0.5, 0.5, 1.0, 1.0]
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]
