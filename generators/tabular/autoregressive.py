"""`tabular.autoregressive`: a masked network that knows every conditional distribution of a table's tokens.

Rows become small integers (`codec`). In training a part of each row is hidden, and one residual trunk predicts all
hidden tokens at once: in half of the batch a random part of random size, so that any columns can be conditioned on
without rejection; in the other half what follows a prefix of the sampling order, because that is what unconditional
sampling asks for. Each row's loss is weighted by T / hidden, which makes it an unbiased estimate of the nats per row of a
random order (Uria, Murray and Larochelle 2014, arXiv 1310.1757, equation 9; order-agnostic diffusion: Hoogeboom et al.
2022, arXiv 2110.02037). Sampling fills columns from low to high entropy, all coarse tokens before all fine ones, with stratified uniforms per column.

# B batch, T tokens of a row, V sizes of all tokens together, H width
"""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from generators.base import Budget, FitReport, GeneratorInputError, NotFitted, OnStep
from generators.device import Device, resolve
from generators.nn.residual import Trunk
from generators.nn.segments import draw, offsets_of, segmented_cross_entropy, stratified_uniforms
from generators.nn.tokens import TokenInput
from generators.tabular.codec import CodecConfig, TableCodec, Token, fit_codec
from generators.tabular.model_files import load_model, save_model
from generators.training.batches import ShuffledRows, hold_out
from generators.training.loop import Phase, Recipe, TrainingConfig, train
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.randomness import derive

NAME = "tabular.autoregressive"
SUMMARY = "masked any-order autoregressive network over coarse and fine tokens; conditions on any columns exactly"
SAMPLE_ROWS = 16_384  # rows in one piece of sampling
VALIDATION_FORWARD_ROWS = 24_000  # rows through the network in one validation: a row counts once per token
LAPLACE = 0.5  # added to each token's count before the logarithm that the output bias begins with


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set.

    Args:
        width, hidden, depth: of the trunk; None chooses 256, 512, 3 on a CPU and 512, 1024, 6 on a GPU.
        embedding: numbers per token at the input.
        dropout: in the trunk.
        batch_size: rows a step; None chooses by the number of rows.
        learning_rate: its peak.
        weight_decay: of AdamW, on matrices.
        prefix_share: part of a batch that sees a prefix of the sampling order.
        ema_decay: of the averaged weights.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows for early stopping.
        codec: what may be kept of the data.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    width: int | None = None
    hidden: int | None = None
    depth: int | None = None
    embedding: int = 16
    dropout: float = 0.05
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    prefix_share: float = 0.5
    ema_decay: float = 0.999
    patience: int = 12
    validation_share: float = 0.1
    codec: CodecConfig = field(default_factory=CodecConfig)
    device: str = "auto"
    precision: str = "auto"


class Network(nn.Module):
    """All conditionals of all tokens: B T (with unknowns) -> logits B V."""

    def __init__(self, tokens: tuple[Token, ...], width: int, hidden: int, depth: int, embedding: int, dropout: float):
        """Build it; the output begins at zero, the bias is set by `begin_at`."""
        super().__init__()
        sizes = [token.size for token in tokens]
        self.input = TokenInput(sizes, [token.ranks for token in tokens], embedding, width)
        self.trunk = Trunk(width, hidden, depth, dropout)
        self.heads = nn.Linear(width, sum(sizes))
        nn.init.zeros_(self.heads.weight)

    @torch.no_grad()
    def begin_at(self, marginals: Tensor) -> None:
        """Set the output bias to log `marginals`, float V."""
        self.heads.bias.copy_(marginals.log())

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, B V, for int64 tokens, B T."""
        logits: Tensor = self.heads(self.trunk(self.input(tokens)))
        return logits


@dataclass
class _Fitted:
    codec: TableCodec
    network: Network
    order: list[int]
    device: Device
    shape: tuple[int, int, int]


class Autoregressive:
    """A `generators.base.Synthesizer`."""

    def __init__(self, config: Config) -> None:
        """Remember the configuration; nothing is built before `fit`."""
        self.config = config
        self._fitted: _Fitted | None = None

    def fit(self, train_part: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """See `generators.base.Synthesizer.fit`."""
        raise NotImplementedError
