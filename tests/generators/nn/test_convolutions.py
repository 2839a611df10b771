"""Convolutions in channels last: the same numbers as torch's own, in the layout that is fast."""

import torch
from torch import nn

from generators.nn.convolutions import Convolution, channels_last
from generators.training.streams import isolated_rng


def test_equals_torch_and_gradients_lie_channels_last() -> None:
    with isolated_rng(1, torch.device("cpu")):
        own, x = Convolution(3, 5, 3), torch.randn(2, 3, 6, 7)
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    (own(mine) * 2).sum().backward()
    (nn.functional.conv2d(theirs, own.inner.weight, own.inner.bias, padding=1) * 2).sum().backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(mine.grad, theirs.grad)
    assert own(x).is_contiguous(memory_format=torch.channels_last)


def test_a_gradient_of_another_layout_is_turned() -> None:
    x = torch.zeros((2, 4, 3, 3), requires_grad=True)
    seen: list[torch.Tensor] = []
    middle = x * 1
    middle.register_hook(seen.append)
    (channels_last(middle) * torch.ones(2, 4, 3, 3)).reshape(2, -1).sum().backward()  # type: ignore[no-untyped-call]
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_with_a_stride_it_cuts_into_patches_and_zero_begins_at_nothing() -> None:
    x = torch.ones(1, 3, 6, 8)
    assert Convolution(3, 7, 2, stride=2)(x).shape == (1, 7, 3, 4)
    assert not bool(Convolution(3, 7, 3, zero=True)(x).any())
