"""`tabular.autoregressive`: a masked network that knows every conditional distribution of a table's tokens.

Rows become small integers (`codec`). In training a part of each row is hidden, and one residual trunk predicts all
hidden tokens at once: in some rows a random part of random size, so that any columns can be conditioned on without
rejection; in most what follows a prefix of the sampling order, because that is what unconditional sampling asks for,
and there the very next token weighs more than the later ones. Each row's loss is weighted by T / hidden, after Uria,
Murray and Larochelle 2014 (arXiv 1310.1757, equation 9) and Hoogeboom et al. 2022 (arXiv 2110.02037). Sampling fills
columns from low to high entropy, with stratified uniforms per column. Validation is the exact likelihood in that order,
and where held-out rows do not show that the network is worth it a mixture of latent classes stands in (`fall_back`).

# B batch, T tokens of a row, V sizes of all tokens together, H width
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from generators.base import Budget, FitReport, GeneratorInputError, NotFitted, OnStep, RowNats
from generators.device import Device, resolve
from generators.tabular.codec import CodecConfig, TableCodec, Token, fit_codec
from generators.tabular.conditions import known_tokens
from generators.tabular.density_ratio import (
    CANDIDATES,
    MIN_STEPS_CORRECTED,
    MOST_CORRECTION,
    DensityRatio,
    correction_s,
    fit_density_ratio,
)
from generators.tabular.fall_back import fit_fall_back
from generators.tabular.latent_classes import LatentClasses
from generators.tabular.masked import MaskedNetwork, draw_rows
from generators.tabular.masked_objective import MaskedObjective
from generators.tabular.model_files import load_model, save_model
from generators.training import checkpoint, loop
from generators.training.batches import ShuffledRows, hold_out
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.randomness import derive

NAME = "tabular.autoregressive"
SUMMARY = "masked any-order autoregressive network over coarse and fine tokens; conditions on any columns exactly"
VALIDATION_FORWARD_ROWS = 24_000  # rows through the network in one validation: a row counts once per token
MIN_STEPS, MAX_EPOCHS = 600, 300  # the plan where no budget is given; early stopping usually ends it sooner
MIN_EVALUATE_STEPS, MAX_EVALUATE_STEPS = 40, 200  # validation after an epoch, within these
GIVEN_ROWS = 65_536  # rows given in part that are completed at a time
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
        next_weight: part of such a row's loss that is about the next token alone, 0 to 1.
        ema_decay: of the averaged weights.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows for early stopping.
        fall_back: keep a mixture of latent classes, or independent columns, instead of the network where held-out rows
            do not show that the network predicts them better (`fall_back`).
        correct: draw again what boosted trees can still tell from training rows (`density_ratio`), after 100 steps.
        codec: what may be kept of the data.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    width: int | None = None
    hidden: int | None = None
    depth: int | None = None
    embedding: int = 16
    dropout: float = 0.1
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    prefix_share: float = 0.8
    next_weight: float = 0.5
    ema_decay: float = 0.999
    patience: int = 12
    validation_share: float = 0.1
    fall_back: bool = True
    correct: bool = True
    codec: CodecConfig = field(default_factory=CodecConfig)
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        for name in ("width", "hidden", "depth", "embedding", "batch_size", "patience", "learning_rate"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise GeneratorInputError(f"{NAME}: {name} must be positive", seen=value)
        for name in ("dropout", "validation_share", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1)", seen=getattr(self, name))
        for name in ("prefix_share", "next_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1]", seen=getattr(self, name))
        if self.weight_decay < 0:
            raise GeneratorInputError(f"{NAME}: weight_decay must not be negative", seen=self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What `fit` or `load` leaves behind; `network` is None where no column needs one, or a `mixture` is kept."""

    codec: TableCodec
    network: MaskedNetwork | None
    order: tuple[int, ...]
    device: Device
    config: Config
    ratio: DensityRatio | None = None
    mixture: LatentClasses | None = None

    def draw(self, n: int, seed: int) -> np.ndarray:
        """Return `n` rows of tokens, int N T, as the network or the mixture draws them."""
        unknown = np.full((n, len(self.codec.tokens)), -1, dtype=self.codec.dtype)
        return self._completed(unknown, {}, seed)

    def draw_given(self, known: np.ndarray, allowed: Mapping[int, np.ndarray], *, seed: int) -> np.ndarray:
        """Return `known` tokens (int N T, -1 unknown) with the unknown ones drawn; `allowed` as in `draw_rows`."""
        copies = 1 if self.ratio is None else CANDIDATES
        pieces = [known[:0]]
        for start in range(0, len(known), GIVEN_ROWS):
            piece = slice(start, start + GIVEN_ROWS)
            candidates = self._completed(
                known[piece].repeat(copies, axis=0),
                {place: mask[piece].repeat(copies, axis=0) for place, mask in allowed.items()},
                derive(seed, "given", start),
            )
            pieces.append(candidates if self.ratio is None else self.ratio.choose(candidates, seed=seed + start))
        return np.concatenate(pieces)

    def row_nats(self, tokens: np.ndarray) -> np.ndarray:
        """Return the negative log likelihood, float64 N up to a constant, of whole rows of tokens (int N T)."""
        if self.mixture is not None:
            nats = self.mixture.row_nats(tokens)
        elif self.network is None:
            nats = np.zeros(len(tokens))
        else:
            objective = MaskedObjective(
                self.network,
                self.codec.tokens,
                self.order,
                prefix_share=self.config.prefix_share,
                next_weight=self.config.next_weight,
            )
            nats = objective.row_nats(torch.from_numpy(tokens).long().to(self.device.torch), self.device)
        return nats if self.ratio is None else nats - np.log(np.minimum(self.ratio.weights(tokens), self.ratio.cap))

    def _completed(self, known: np.ndarray, allowed: Mapping[int, np.ndarray], seed: int) -> np.ndarray:
        if self.mixture is not None:
            return self.mixture.draw(known, allowed, seed=seed)
        assert self.network is not None
        return draw_rows(self.network, self.codec.tokens, self.order, known, allowed, device=self.device, seed=seed)


class Autoregressive:
    """A `generators.base.Synthesizer`."""

    def __init__(self, config: Config, fitted: Fitted | None = None) -> None:
        """Remember the configuration; nothing is built before `fit`."""
        self.config = config
        self._fitted = fitted

    @property
    def fitted(self) -> Fitted:
        """What `fit` or `load` has left behind.

        Raises:
            NotFitted: before either.

        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: asked for what was learnt before fit")
        return self._fitted

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """See `generators.base.Synthesizer.fit`."""
        began_s = time.monotonic()
        device = resolve(self.config.device, precision=self.config.precision)
        config = _resolved(self.config, len(train), device)
        codec = fit_codec(train, config.codec, seed=derive(seed, NAME, "codec"))
        data = codec.encode(train.frame)
        notes = codec.notes(train.frame)
        entities = _entities(train)
        held_out = hold_out(len(train), seed=derive(seed, NAME), share=config.validation_share, groups=entities)
        fall_back = None
        if config.fall_back and config.validation_share and codec.tokens:
            fall_back = fit_fall_back(data, held_out, codec.tokens, seed=derive(seed, NAME), groups=entities)
        if not codec.tokens or (fall_back is not None and not fall_back.decides):
            mixture = None if fall_back is None else fall_back.refitted()
            self._fitted = Fitted(codec=codec, network=None, order=(), device=device, config=config, mixture=mixture)
            return FitReport(
                family=NAME,
                steps=0,
                stopped_by="closed_form",
                seconds=time.monotonic() - began_s,
                parameters=0 if mixture is None else mixture.parameters,
                device=device.name,
                precision=device.precision,
                notes=notes if fall_back is None or mixture is None else (*notes, fall_back.note(mixture)),
            )
        marginals = [np.bincount(data[:, place], minlength=size) for place, size in enumerate(codec.sizes)]
        order = _order(codec.tokens, marginals)
        with isolated_rng(derive(seed, NAME, "initial weights"), device.torch):
            network = _network(codec, config)
            network.begin_at([torch.from_numpy((counts + LAPLACE) / counts.sum()) for counts in marginals], data)
        network.to(device.torch)
        rows = torch.from_numpy(data[~held_out]).to(device.torch)
        picks = ShuffledRows(len(rows), config.batch_size or 1, seed=derive(seed, NAME, "batches"))
        objective = MaskedObjective(
            network, codec.tokens, order, prefix_share=config.prefix_share, next_weight=config.next_weight
        )
        matrices = [p for p in network.parameters() if p.ndim > 1]
        vectors = [p for p in network.parameters() if p.ndim <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
            lr=config.learning_rate,
            betas=(0.9, 0.99),
            fused=True,
        )
        fitted = Fitted(codec=codec, network=network, order=order, device=device, config=config)
        reserve_s = 0.0 if fall_back is None else fall_back.refit_s
        if config.correct and budget.seconds is not None:
            network.eval()
            reserve_s += min(correction_s(fitted.draw, len(train), len(codec.tokens)), MOST_CORRECTION * budget.seconds)
        trained = loop.train(
            loop.Recipe(
                networks=network,
                phases=[loop.Phase("fit", optimizer, objective.loss)],
                validate=objective.nats_per_row,
                device=device,
                identity=_identity(config, codec, data, held_out),
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
            reserve_s=reserve_s,
        )
        trained_s = time.monotonic()
        parameters, best = sum(p.numel() for p in network.parameters()), trained.best
        if fall_back is not None:
            nats = objective.row_nats(torch.from_numpy(fall_back.unseen).to(device.torch), device)
            if not fall_back.loses_to(nats):
                mixture = fall_back.refitted()
                fitted = replace(fitted, network=None, mixture=mixture)
                parameters, best = mixture.parameters, float(fall_back.nats.mean())
                notes = (*notes, fall_back.note(mixture))
        if config.correct and trained.steps >= MIN_STEPS_CORRECTED:
            ratio = fit_density_ratio(fitted.draw, data, held_out, codec.tokens, seed=derive(seed, NAME))
            fitted = replace(fitted, ratio=ratio)
        self._fitted = fitted
        return FitReport(
            family=NAME,
            steps=trained.steps,
            stopped_by=trained.stopped_by,
            seconds=trained.seconds + time.monotonic() - trained_s,
            parameters=parameters,
            best=best,
            device=device.name,
            precision=device.precision,
            history=trained.history,
            notes=(*notes, *trained.notes),
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """See `generators.base.Synthesizer.sample`; conditions on any columns without rejection.

        A given column that another one decides restricts that other column, which is then drawn first.
        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: sample was called before fit")
        fitted = self._fitted
        codec = fitted.codec
        if not codec.tokens:
            tokens = np.empty((n, 0), dtype=codec.dtype)
            if given is not None:
                known_tokens(given, n, codec)  # which checks them
        elif given is not None:
            tokens = fitted.draw_given(*known_tokens(given, n, codec), seed=seed)
        elif fitted.ratio is not None:
            tokens = fitted.ratio.draw(fitted.draw, n, seed=seed)
        else:
            tokens = fitted.draw(n, seed)
        frame = codec.decode(tokens, seed=seed, given=given)
        if given is not None:
            for name in given.columns:
                frame[name] = given[name].set_axis(frame.index).astype(frame[name].dtype)
        return Dataset(frame=frame, schema=codec.schema)

    def row_nats(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the negative log likelihood of the tokens of canonical rows, float64 N, up to a constant.

        It is that of the rows as they are drawn: what the correction keeps more often is likelier. Rare labels count as
        one, though none is ever drawn. Infinite where a cell has no token. Ids, and columns that follow from others,
        have no part in it.

        Raises:
            NotFitted: before `fit`.

        """
        fitted = self.fitted
        tokens = fitted.codec.encode(frame)
        possible = (tokens >= 0).all(axis=1)
        nats = np.full(len(tokens), np.inf)
        nats[possible] = fitted.row_nats(tokens[possible])
        return nats

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
            weights={
                **checkpoint.named("network", {} if fitted.network is None else fitted.network.state_dict()),
                **checkpoint.named("mixture", {} if fitted.mixture is None else fitted.mixture.tensors()),
                **checkpoint.named("ratio", {} if fitted.ratio is None else fitted.ratio.tensors()),
            },
            extra={
                "order": list(fitted.order),
                "ratio": None if fitted.ratio is None else fitted.ratio.to_json(),
            },
        )


def build(config: Config) -> Autoregressive:
    """Return a synthesizer, not fitted."""
    return Autoregressive(config)


def load(path: Path, *, device: str | None = None) -> Autoregressive:
    """Return the fitted synthesizer that `save` wrote into the folder `path`.

    Args:
        path: the folder.
        device: as in `Config`; None is the CPU where the model was fitted with `device="cpu"`, else `auto`.

    """
    fields, codec, weights, extra = load_model(path, family=NAME)
    config = Config(**{**fields, "codec": CodecConfig(**fields["codec"])})
    resolved = resolve(device or ("cpu" if config.device == "cpu" else "auto"), precision=config.precision)
    network, mixture = None, None
    shares_and_laws = checkpoint.under("mixture", weights)
    if shares_and_laws:
        mixture = LatentClasses.load(shares_and_laws, codec.tokens)
    elif codec.tokens:
        with isolated_rng(0, resolved.torch):  # the weights are replaced; construction must not touch global state
            network = _network(codec, config)
        network.load_state_dict(checkpoint.under("network", weights))
        network.to(resolved.torch).eval()
    ratio = extra["ratio"] and DensityRatio.load(extra["ratio"], checkpoint.under("ratio", weights))
    fitted = Fitted(
        codec=codec,
        network=network,
        order=tuple(extra["order"]),
        device=resolved,
        config=config,
        ratio=ratio,
        mixture=mixture,
    )
    return Autoregressive(config, fitted)


def likelihood(path: Path) -> RowNats:
    """Return the likelihood of rows under the model in the folder `path`, on the CPU."""
    return load(path, device="cpu").row_nats


# ---------------------------------------------------------------------- training


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


def _network(codec: TableCodec, config: Config) -> MaskedNetwork:
    assert config.width is not None
    assert config.hidden is not None
    assert config.depth is not None
    return MaskedNetwork(
        codec.tokens,
        width=config.width,
        hidden=config.hidden,
        depth=config.depth,
        embedding=config.embedding,
        dropout=config.dropout,
    )


def _order(tokens: Sequence[Token], marginals: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Return the sampling order: columns from low to high entropy, each fine token after its coarse one."""

    def entropy(place: int) -> float:
        shares = marginals[place][marginals[place] > 0] / marginals[place].sum()
        return float(-(shares * np.log(shares)).sum())

    def key(place: int) -> tuple[float, int, bool]:
        parent = tokens[place].parent
        coarse = place if parent is None else parent
        return entropy(coarse), coarse, parent is not None

    return tuple(sorted(range(len(tokens)), key=key))


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


def _identity(config: Config, codec: TableCodec, data: np.ndarray, held_out: np.ndarray) -> str:
    digest = hashlib.sha256(json.dumps([asdict(config), codec.to_json()], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(data).tobytes())
    digest.update(held_out.tobytes())
    return digest.hexdigest()
