"""`tabular.autoregressive`: a masked network that knows every conditional distribution of a table's tokens.

Rows become small integers (`codec`). In training a part of each row is hidden, and one residual trunk predicts all
hidden tokens at once: in half of the batch a random part of random size, so that any columns can be conditioned on
without rejection; in the other half what follows a prefix of the sampling order, because that is what unconditional
sampling asks for. Each row's loss is weighted by T / hidden, after Uria, Murray and Larochelle 2014 (arXiv 1310.1757,
equation 9) and Hoogeboom et al. 2022 (arXiv 2110.02037). Sampling fills columns from low to high entropy, all coarse
tokens before all fine ones, with stratified uniforms per column. Validation is the exact likelihood in that order.

# B batch, T tokens of a row, V sizes of all tokens together, H width
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from generators.base import Budget, FitReport, GeneratorInputError, NotFitted, OnStep
from generators.device import Device, resolve
from generators.nn.residual import Trunk
from generators.nn.segments import draw, offsets_of, segmented_cross_entropy, stratified_uniforms
from generators.nn.tokens import TokenHeads, TokenInput
from generators.tabular.codec import CodecConfig, TableCodec, Token, fit_codec
from generators.tabular.model_files import load_model, save_model
from generators.training import loop
from generators.training.batches import ShuffledRows, hold_out
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.errors import did_you_mean
from sources.randomness import derive

NAME = "tabular.autoregressive"
SUMMARY = "masked any-order autoregressive network over coarse and fine tokens; conditions on any columns exactly"
SAMPLE_ROWS = 16_384  # rows in one piece of sampling
VALIDATION_FORWARD_ROWS = 24_000  # rows through the network in one validation: a row counts once per token
MIN_STEPS, MAX_EPOCHS = 600, 300  # the plan where no budget is given; early stopping usually ends it sooner
MIN_EVALUATE_STEPS, MAX_EVALUATE_STEPS = 40, 200  # validation after an epoch, within these
LAPLACE = 0.5  # added to each token's count before the logarithm that the output bias begins with


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: tabular.autoregressive, dropout: 0.1}]`.

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

    def __init__(
        self, tokens: tuple[Token, ...], *, width: int, hidden: int, depth: int, embedding: int, dropout: float
    ) -> None:
        """Build it; the output begins at zero, the bias is set by `begin_at`."""
        super().__init__()
        sizes = [token.size for token in tokens]
        ranks = [token.ranks for token in tokens]
        self.input = TokenInput(sizes, ranks, embedding, width)
        self.trunk = Trunk(width, hidden, depth, dropout)
        self.heads = TokenHeads(sizes, ranks, width)

    @torch.no_grad()
    def begin_at(self, marginals: Sequence[Tensor]) -> None:
        """Set the output bias to the logarithm of the `marginals`, float size each."""
        self.heads.bias.copy_(torch.cat(list(marginals)).log())

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, B V, for int64 tokens, B T."""
        logits: Tensor = self.heads(self.trunk(self.input(tokens)))
        return logits


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """What `fit` or `load` leaves behind; `network` is None where no column needs one."""

    codec: TableCodec
    network: Network | None
    order: tuple[int, ...]
    device: Device
    config: Config


class Autoregressive:
    """A `generators.base.Synthesizer`."""

    def __init__(self, config: Config, fitted: _Fitted | None = None) -> None:
        """Remember the configuration; nothing is built before `fit`."""
        self.config = config
        self._fitted = fitted

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """See `generators.base.Synthesizer.fit`."""
        began_s = time.monotonic()
        device = resolve(self.config.device, precision=self.config.precision)
        config = _resolved(self.config, len(train), device)
        codec = fit_codec(train, config.codec, seed=derive(seed, NAME, "codec"))
        data = codec.encode(train.frame)
        notes = codec.notes(train.frame)
        if not codec.tokens:
            self._fitted = _Fitted(codec=codec, network=None, order=(), device=device, config=config)
            return FitReport(
                family=NAME,
                steps=0,
                stopped_by="closed_form",
                seconds=time.monotonic() - began_s,
                parameters=0,
                device=device.name,
                precision=device.precision,
                notes=notes,
            )
        marginals = [np.bincount(data[:, place], minlength=size) for place, size in enumerate(codec.sizes)]
        order = _order(codec.tokens, marginals)
        with isolated_rng(derive(seed, NAME, "initial weights"), device.torch):
            network = _network(codec, config)
            network.begin_at([torch.from_numpy((counts + LAPLACE) / counts.sum()) for counts in marginals])
        network.to(device.torch)
        held_out = hold_out(len(train), seed=derive(seed, NAME), share=config.validation_share, groups=_entities(train))
        rows = torch.from_numpy(data[~held_out]).to(device.torch)
        picks = ShuffledRows(len(rows), config.batch_size or 1, seed=derive(seed, NAME, "batches"))
        objective = _Objective(network, codec.tokens, order, config.prefix_share)
        matrices = [p for p in network.parameters() if p.ndim > 1]
        vectors = [p for p in network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            fused=True,
        )
        trained = loop.train(
            loop.Recipe(
                networks=network,
                phases=[loop.Phase("fit", optimizer, objective.loss)],
                validate=objective.nats_per_row,
                device=device,
                identity=_identity(config, codec, data),
            ),
            lambda step: rows[picks(step).to(rows.device)].long(),
            _validation_batches(data[held_out], len(codec.tokens), device),
            loop.TrainingConfig(
                max_steps=max(MIN_STEPS, MAX_EPOCHS * picks.steps_per_epoch),
                budget=budget,
                evaluate_every=min(max(MIN_EVALUATE_STEPS, picks.steps_per_epoch), MAX_EVALUATE_STEPS),
                patience=config.patience,
                ema_decay=config.ema_decay,
            ),
            seed=derive(seed, NAME, "training"),
            run_dir=run_dir,
            on_step=on_step,
            spent_s=time.monotonic() - began_s,
        )
        self._fitted = _Fitted(codec=codec, network=network, order=order, device=device, config=config)
        return FitReport(
            family=NAME,
            steps=trained.steps,
            stopped_by=trained.stopped_by,
            seconds=trained.seconds,
            parameters=sum(p.numel() for p in network.parameters()),
            best=trained.best,
            device=device.name,
            precision=device.precision,
            history=trained.history,
            notes=notes,
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """See `generators.base.Synthesizer.sample`; conditions on any columns without rejection.

        A given column that another one decides restricts that other column, which is then drawn first.
        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: sample was called before fit")
        fitted = self._fitted
        codec = fitted.codec
        tokens = np.full((n, len(codec.tokens)), -1, dtype=np.int16)
        allowed: dict[int, np.ndarray] = {}
        if given is not None:
            _check_given(given, n, codec)
            tokens, allowed = _known_tokens(given, codec)
        if fitted.network is not None:
            tokens = _draw_rows(fitted, fitted.network, tokens, allowed, seed)
        frame = codec.decode(tokens, seed=seed)
        if given is not None:
            for name in given.columns:
                frame[name] = given[name].set_axis(frame.index).astype(frame[name].dtype)
        return Dataset(frame=frame, schema=codec.schema)

    def save(self, path: Path) -> None:
        """See `generators.base.Synthesizer.save`."""
        if self._fitted is None:
            raise NotFitted(f"{NAME}: save was called before fit")
        fitted = self._fitted
        save_model(
            path,
            family=NAME,
            config=fitted.config,
            codec=fitted.codec,
            weights={} if fitted.network is None else fitted.network.state_dict(),
            extra={"order": list(fitted.order), "precision": fitted.device.precision},
        )


def build(config: Config) -> Autoregressive:
    """Return a synthesizer, not fitted."""
    return Autoregressive(config)


def load(path: Path, *, device: str = "auto") -> Autoregressive:
    """Return the fitted synthesizer that `save` wrote into the folder `path`."""
    fields, codec, weights, extra = load_model(path, family=NAME)
    config = Config(**{**fields, "codec": CodecConfig(**fields["codec"])})
    resolved = resolve(device)
    network = None
    if codec.tokens:
        with isolated_rng(0, resolved.torch):  # the weights are replaced; construction must not touch global state
            network = _network(codec, config)
        network.load_state_dict(weights)
        network.to(resolved.torch).eval()
    fitted = _Fitted(codec=codec, network=network, order=tuple(extra["order"]), device=resolved, config=config)
    return Autoregressive(config, fitted)


# ---------------------------------------------------------------------- training


class _Objective:
    """What is minimised, and what is validated."""

    def __init__(self, network: Network, tokens: Sequence[Token], order: Sequence[int], prefix_share: float) -> None:
        self.network = network
        self.sizes = [token.size for token in tokens]
        self.prefix_share = prefix_share
        device = network.heads.bias.device
        self.unknown = torch.tensor(self.sizes, device=device)
        self.rank = torch.empty(len(order), dtype=torch.int64, device=device)  # place of each token in the order
        self.rank[torch.tensor(order, device=device)] = torch.arange(len(order), device=device)
        self.fine = [place for place, token in enumerate(tokens) if token.parent is not None]
        self.parents = [token.parent for token in tokens if token.parent is not None]

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted cross entropy of hidden tokens, nats per row, for int64 tokens B T."""
        B, T = tokens.shape
        device = tokens.device
        share = torch.rand(B, 1, generator=generator, device=device)
        known = torch.rand(B, T, generator=generator, device=device) < share
        cut = int(B * self.prefix_share)
        length = torch.randint(T, (cut, 1), generator=generator, device=device)
        known[:cut] = self.rank < length
        scored = ~known
        if self.fine:
            known[:, self.fine] &= known[:, self.parents]
            scored[:, self.fine] = known[:, self.parents] & ~known[:, self.fine]
        count = scored.sum(1, keepdim=True).clamp(min=1)
        return self._cross_entropy(tokens, known, scored * (T / B / count))

    def nats_per_row(self, tokens: Tensor, _generator: torch.Generator) -> Tensor:
        """Return the mean negative log likelihood of rows in the sampling order, exactly, for int64 tokens B T."""
        B, T = tokens.shape
        length = torch.arange(T, device=tokens.device).repeat_interleave(B)[:, None]
        scored = (self.rank == length).float() / B
        return self._cross_entropy(tokens.repeat(T, 1), self.rank < length, scored)

    def _cross_entropy(self, tokens: Tensor, known: Tensor, weights: Tensor) -> Tensor:
        logits = self.network(torch.where(known, tokens, self.unknown))
        return segmented_cross_entropy(logits, tokens, weights, self.sizes)


def _resolved(config: Config, num_rows: int, device: Device) -> Config:
    """Return the configuration with its None fields chosen."""
    width, hidden, depth = (512, 1024, 6) if device.is_gpu else (256, 512, 3)
    batch_size = int(min(max(256, 2 ** round(np.log2(max(num_rows, 1) / 32))), 4096 if device.is_gpu else 1024))
    return replace(
        config,
        width=config.width or width,
        hidden=config.hidden or hidden,
        depth=config.depth or depth,
        batch_size=config.batch_size or batch_size,
    )


def _network(codec: TableCodec, config: Config) -> Network:
    assert config.width is not None
    assert config.hidden is not None
    assert config.depth is not None
    return Network(
        codec.tokens,
        width=config.width,
        hidden=config.hidden,
        depth=config.depth,
        embedding=config.embedding,
        dropout=config.dropout,
    )


def _order(tokens: Sequence[Token], marginals: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Return the sampling order: coarse before fine, low entropy before high."""

    def entropy(place: int) -> float:
        shares = marginals[place][marginals[place] > 0] / marginals[place].sum()
        return float(-(shares * np.log(shares)).sum())

    return tuple(sorted(range(len(tokens)), key=lambda place: (tokens[place].level == "fine", entropy(place), place)))


def _entities(train: Dataset) -> np.ndarray | None:
    key = train.schema.entity_key
    return None if key is None else train.frame[key].to_numpy(dtype=object)


def _validation_batches(rows: np.ndarray, num_tokens: int, device: Device) -> list[Tensor]:
    """Return equal batches of held-out rows, int64 B T, as many as `VALIDATION_FORWARD_ROWS` pay for."""
    num_rows = min(len(rows), max(VALIDATION_FORWARD_ROWS // num_tokens, 1))
    num_batches = max(-(-num_rows * num_tokens // 4096), 1)
    size = num_rows // num_batches
    chosen = torch.from_numpy(rows[: size * num_batches]).long().to(device.torch)
    return list(torch.split(chosen, size)) if size else []


def _identity(config: Config, codec: TableCodec, data: np.ndarray) -> str:
    digest = hashlib.sha256(json.dumps([asdict(config), codec.to_json()], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(data).tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------------- sampling


@torch.inference_mode()
def _draw_rows(
    fitted: _Fitted, network: Network, tokens: np.ndarray, allowed: Mapping[int, np.ndarray], seed: int
) -> np.ndarray:
    """Return tokens, int16 N T, in which every unknown one (-1) has been drawn."""
    n = len(tokens)
    result = torch.from_numpy(tokens.astype(np.int64))
    todo = [place for place in fitted.order if n and int(tokens[0, place]) < 0]
    todo.sort(key=lambda place: place not in allowed)  # what is restricted conditions all others, so it comes first
    uniforms = {}
    for place in todo:
        token = fitted.codec.tokens[place]
        generator = torch.Generator()
        generator.manual_seed(derive(seed, "draw", token.column, token.level))
        uniforms[place] = stratified_uniforms(n, generator)
    painter = _Painter(fitted, network)
    for start in range(0, n, SAMPLE_ROWS):
        piece = slice(start, start + SAMPLE_ROWS)
        result[piece] = painter.fill(
            result[piece],
            {place: uniforms[place][piece] for place in todo},
            {place: mask[piece] for place, mask in allowed.items()},
        )
    return result.numpy().astype(np.int16)


class _Painter:
    """Fills in tokens column after column; the input layer is a running sum of table rows."""

    def __init__(self, fitted: _Fitted, network: Network) -> None:
        self.tokens = fitted.codec.tokens
        self.device = fitted.device
        self.network = network
        self.start, self.gains = network.input.tables()
        offsets = offsets_of(fitted.codec.sizes)
        weight, bias = network.heads.table(), network.heads.bias
        self.heads = [(weight[a:b], bias[a:b]) for a, b in pairwise(offsets)]
        self.forbidden = [~torch.from_numpy(token.emit).to(self.device.torch) for token in self.tokens]

    def fill(self, tokens: Tensor, uniforms: Mapping[int, Tensor], allowed: Mapping[int, np.ndarray]) -> Tensor:
        """Return int64 tokens B T, the places in `uniforms` drawn in their order."""
        device = self.device.torch
        tokens = tokens.to(device)
        features = self.start.repeat(len(tokens), 1)
        known = [place for place in range(len(self.tokens)) if place not in uniforms]
        for place in known:
            features += self.gains[place][tokens[:, place]]
        states, state = torch.unique(tokens[:, known], dim=0, return_inverse=True) if known else _one_state(tokens)
        num_states = len(states)
        for place, uniform in uniforms.items():
            token = self.tokens[place]
            if num_states * 2 < len(tokens):  # rows that are still alike share one pass through the trunk
                first = torch.empty(num_states, dtype=torch.int64, device=device)
                first[state] = torch.arange(len(tokens), device=device)
                probabilities = self._probabilities(features[first], place)[state]
            else:
                probabilities = self._probabilities(features, place)
            if token.valid is not None and token.parent is not None:
                probabilities = probabilities * torch.from_numpy(token.valid).to(device)[tokens[:, token.parent]]
            if place in allowed:
                probabilities = probabilities * torch.from_numpy(allowed[place]).to(device)
            tokens[:, place] = draw(probabilities, uniform.to(device))
            features += self.gains[place][tokens[:, place]]
            if num_states * 2 < len(tokens):
                found, state = torch.unique(state * token.size + tokens[:, place], return_inverse=True)
                num_states = len(found)
        return tokens.cpu()

    def _probabilities(self, features: Tensor, place: int) -> Tensor:
        """Return the distribution of the token at `place`, float64 B size."""
        with self.device.autocast():
            hidden = self.network.trunk(features)
        weight, bias = self.heads[place]
        logits = hidden.float() @ weight.T + bias
        probabilities: Tensor = logits.masked_fill(self.forbidden[place], -torch.inf).double().softmax(1)
        return probabilities


def _one_state(tokens: Tensor) -> tuple[Tensor, Tensor]:
    return tokens[:1], torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)


def _check_given(given: pd.DataFrame, n: int, codec: TableCodec) -> None:
    if len(given) != n:
        raise GeneratorInputError(
            "given: one row is needed for each row to draw",
            seen=f"{len(given)} rows for n = {n}",
            remedy="make them equal",
        )
    for name in given.columns:
        if name not in codec.columns:
            raise GeneratorInputError(
                f"given: no such column{did_you_mean(str(name), codec.columns)}",
                seen=str(name),
                remedy="name a column of the training data",
            )


def _known_tokens(given: pd.DataFrame, codec: TableCodec) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the tokens of given columns, int16 N T (-1 unknown), and what derived ones allow of their determinants."""
    tokens = codec.encode(given)
    for place, token in enumerate(codec.tokens):
        if token.column in given.columns and (tokens[:, place] < 0).any():
            raise _unseen(token.column, int((tokens[:, place] < 0).sum()))
    allowed: dict[int, np.ndarray] = {}
    for name, (determinant, table) in codec.derived.items():
        decider = codec.position(determinant)
        if name not in given.columns or determinant in given.columns or decider is None:
            continue
        wanted = codec.encode_column(name, given[name])
        possible = (table[None, :] == wanted[:, None]) & codec.tokens[decider].emit & allowed.get(decider, True)
        if not possible.any(axis=1).all():
            raise _unseen(name, int((~possible.any(axis=1)).sum()))
        allowed[decider] = possible
    return tokens, allowed


def _unseen(column: str, cells: int) -> GeneratorInputError:
    return GeneratorInputError(
        f"given: column {column!r} holds values that the training data does not show",
        seen=f"{cells} cells",
        remedy="give values that occur in the training data often enough to be kept",
    )
