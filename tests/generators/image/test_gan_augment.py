"""What the discriminator of `image.gan` is shown, and how often it is changed."""

import pytest
import torch

from generators.image.gan_augment import MOST, Augmentation, shifted


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shifted_pictures_are_those_of_plain_slices_with_repeated_edges() -> None:
    pictures = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5)
    moved = shifted(pictures, torch.tensor([1, 0]), torch.tensor([0, -2]))
    assert torch.equal(moved[0, :, 1:], pictures[0, :, :-1])
    assert torch.equal(moved[0, :, 0], pictures[0, :, 0])
    assert torch.equal(moved[1, :, :, :3], pictures[1, :, :, 2:])
    assert torch.equal(moved[1, :, :, 3:], pictures[1, :, :, 4:].expand(-1, -1, 2))


def test_nothing_is_changed_without_a_probability_and_nearly_everything_with_the_largest() -> None:
    pictures = torch.rand(200, 1, 8, 8, generator=seeded())
    assert torch.equal(Augmentation(0.0, 0.0)(pictures, seeded()), pictures)
    changed = (Augmentation(MOST, 0.0)(pictures, seeded()) != pictures).flatten(1).any(1)
    assert int(changed.sum()) > 195  # each of four changes spares a fifth: 0.2^4 of 200 pictures are 0.3


def test_a_picture_is_changed_the_same_whatever_the_others_are_and_slopes_go_through() -> None:
    pictures, others = (torch.rand(50, 1, 8, 8, generator=seeded(seed)) for seed in (1, 2))
    augmentation = Augmentation(0.5, 0.0)
    mixed = torch.cat([pictures[:1], others[1:]])
    assert torch.equal(augmentation(pictures, seeded())[0], augmentation(mixed, seeded())[0])
    pictures.requires_grad_()
    augmentation(pictures, seeded())[7].sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.flatten(1).abs().sum(1).gt(0).nonzero().flatten().tolist() == [7]


@pytest.mark.parametrize(("held", "direction"), [(0.0, 1), (0.95, -1), (1.2, -1)])
def test_the_probability_rises_where_held_out_pictures_score_like_drawn_ones_and_falls_elsewhere(
    held: float, direction: int
) -> None:
    augmentation = Augmentation(0.4, 0.01)
    scores = (torch.ones(9), torch.full((9,), held), torch.zeros(9))
    for _ in range(10):
        augmentation.adapt(*scores)
    assert float(augmentation.probability) == pytest.approx(0.4 + direction * 0.1)
    for _ in range(200):
        augmentation.adapt(*scores)
    assert float(augmentation.probability) == pytest.approx(MOST if direction > 0 else 0.0)
    assert augmentation.overfitting == pytest.approx(1 - held, abs=1e-6)


def test_a_fixed_probability_stays() -> None:
    augmentation = Augmentation(0.4, 0.0)
    augmentation.adapt(torch.ones(3), torch.zeros(3), torch.zeros(3))
    assert float(augmentation.probability) == pytest.approx(0.4)
