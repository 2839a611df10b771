"""Convolutions whose inputs, outputs and gradients all lie in memory channel by channel at each place (channels last).

In bfloat16 a CPU multiplies four to a hundred times as fast so: where one gradient arrives in the other layout, oneDNN
falls back to kernels of reference. torch keeps the layout of what goes forward, but not of gradients (a reshape, a
pixel shuffle and a sum turn it), so it is asked for on both ways.

# B batch, F features, H height, W width
"""

from typing import Any

import torch
from torch import Tensor, nn


class Convolution(nn.Module):
    """A convolution with padding that keeps the size, or, with a stride, one of patches: B F H W -> B F H W.

    Args:
        inputs: F before.
        outputs: F after.
        size: of the kernel's sides.
        stride: 1 pads by half of `size`; `size` itself cuts into patches.
        zero: begin at nothing.

    """

    def __init__(self, inputs: int, outputs: int, size: int, *, stride: int = 1, zero: bool = False) -> None:
        """Build it."""
        super().__init__()
        self.inner = nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2 if stride == 1 else 0)
        if zero:
            nn.init.zeros_(self.inner.weight)
            assert self.inner.bias is not None
            nn.init.zeros_(self.inner.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of x, in channels last."""
        y: Tensor = channels_last(self.inner(channels_last(x)))
        return y


def channels_last(x: Tensor) -> Tensor:
    """Return x (B F H W) with channels last in memory, and its gradient likewise."""
    y: Tensor = _ChannelsLast.apply(x)  # type: ignore[no-untyped-call]
    return y


class _ChannelsLast(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(_ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous(memory_format=torch.channels_last)
