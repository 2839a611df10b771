"""What a family of pictures is: a painter of p(picture | attributes), and what it is given to learn from.

Everything else (attributes, what is held out, saving, sampling in pieces) is the same for all, in `synthesizer`.

# N pictures, B batch, H height, W width, C channels, T tokens of a row's attributes
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from generators.base import Budget, OnStep
from generators.device import Device
from generators.training import loop


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is the same for every picture of a dataset.

    Args:
        shape: H, W, C.
        levels: 256 or 65,536.
        sizes: number of tokens at each of the T positions; token `size` means unknown. T may be 0.
        ranks: float32 size (0 to 1, NaN where not ordered) for positions of ordered tokens, else None.

    """

    shape: tuple[int, int, int]
    levels: int
    sizes: tuple[int, ...]
    ranks: tuple[np.ndarray | None, ...]

    @property
    def num_places(self) -> int:
        """Pixels of one picture, H W."""
        return self.shape[0] * self.shape[1]

    @property
    def num_values(self) -> int:
        """Numbers in one picture, H W C."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """What a painter learns from.

    Args:
        form: what all have in common.
        images: uint8 or uint16 N H W C, not to be written to.
        tokens: int64 N T, of the attributes.
        held: bool N, True for the validation part: looked at to stop early, never learnt from.

    """

    form: Form
    images: np.ndarray
    tokens: np.ndarray
    held: np.ndarray

    def identity(self, name: str, config: Any) -> str:
        """Return a digest of whatever decides a fit beside seed and steps, for `loop.Recipe.identity`."""
        digest = hashlib.sha256(json.dumps([name, asdict(config), self.form.shape, self.form.sizes]).encode())
        for array in (self.images, self.tokens, self.held):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Painted:
    """How the fit of a painter went.

    Args:
        trained: what the loop says.
        parameters: numbers that were trained.
        loss_unit: of `trained.best`.
        notes: sentences for a person, those of the loop left out.

    """

    trained: loop.Trained
    parameters: int
    loss_unit: str
    notes: tuple[str, ...] = ()


class Painter(Protocol):
    """What differs between families."""

    def fit(
        self, pictures: Pictures, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep, spent_s: float
    ) -> Painted:
        """Learn the pictures, through `loop.train` with `run_dir`; at the end everything `draw` needs is there.

        Args:
            pictures: see `Pictures`.
            seed: of every random draw in here.
            budget: of the whole fit. Networks and batches follow from pictures, configuration and device alone, not
                from it: `Budget.steps` by itself reproduces a fit that seconds have ended.
            run_dir: keeps the checkpoint.
            on_step: see `generators.base.OnStep`.
            spent_s: seconds of the budget that were used before this call.

        """
        ...

    def draw(self, tokens: Tensor, *, seed: int) -> np.ndarray:
        """Return pictures, uint8 or uint16 B H W C, for tokens, int64 B T on the CPU; same seed, same bytes."""
        ...

    def tensors(self) -> Mapping[str, Tensor]:
        """Return what `load` of the family needs, without anything that describes a single training picture."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return the JSON values that `load` of the family needs beside the tensors."""
        ...


class ImageConfig(Protocol):
    """What the configuration of every family of pictures has; it is a frozen dataclass."""

    @property
    def validation_share(self) -> float:
        """Part of the training rows for early stopping."""
        ...

    @property
    def device(self) -> str:
        """`auto`, `cpu`, `cuda`, `cuda:1`."""
        ...

    @property
    def precision(self) -> str:
        """`auto`, `float32`, `bfloat16 autocast`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Art:
    """A family, as `synthesizer.ImageSynthesizer` needs it.

    Args:
        name: in the registry.
        config: its dataclass.
        begin: (configuration, form, device) -> a painter that is not fitted.
        load: (configuration, form, device, tensors on the CPU, JSON values) -> the painter that wrote them.

    """

    name: str
    config: Callable[..., Any]
    begin: Callable[[Any, Form, Device], Painter]
    load: Callable[[Any, Form, Device, Mapping[str, Tensor], Mapping[str, Any]], Painter]
