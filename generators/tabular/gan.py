"""`tabular.gan`: two networks against each other over the codec's tokens, with the shares of pairs as a second teacher.

    noise -> residual trunk -> all columns' logits -> one-hot draws -> discriminator <- one-hot real rows

What each network learns from is in `gan_losses`. The generator's average is compared with rows of the training part
that neither network saw (`gan_watch`): the distance chooses what is kept, and a collapse sends training back to its
best step. Of the two only the generator is saved, because a discriminator remembers real rows.
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
from generators.tabular import gan_watch
from generators.tabular.codec import CodecConfig, TableCodec, Token, fit_codec
from generators.tabular.density_ratio import (
    MIN_STEPS_CORRECTED,
    MOST_CORRECTION,
    DensityRatio,
    correction_s,
    fit_density_ratio,
)
from generators.tabular.gan_losses import Game, PairShares, real_batches
from generators.tabular.gan_networks import Discriminator, Generator
from generators.tabular.model_files import load_model, save_model
from generators.training import checkpoint, loop
from generators.training.batches import hold_out
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.randomness import derive

NAME = "tabular.gan"
SUMMARY = "adversarial networks over tokens with matched pairs of columns; watches which labels it loses"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: tabular.gan, latent: 128, penalty: 0.5}]`.

    Args:
        latent: numbers of noise that a row is made of.
        width, hidden, depth: of the generator's trunk.
        discriminator_width, discriminator_hidden, discriminator_depth: of the other one's.
        temperature: of the relaxed draws; lower ones have less bias and more noise in their gradient.
        penalty: gamma, the weight of the discriminator's gradient penalties.
        pair_weight: of the distance of pairs of columns in the generator's loss; 0 leaves it to the discriminator.
        batch_size: rows a step, at most a quarter of the training rows.
        learning_rate: the generator's peak.
        discriminator_learning_rate: the discriminator's.
        max_steps: where neither the budget nor the validation part ends training earlier.
        ema_decay: of the averaged weights.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows that chooses what is kept.
        correct: draw again what boosted trees can still tell from training rows (`density_ratio`), after 100 steps.
        codec: what may be kept of the data.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    latent: int = 64
    width: int = 256
    hidden: int = 512
    depth: int = 2
    discriminator_width: int = 128
    discriminator_hidden: int = 256
    discriminator_depth: int = 2
    temperature: float = 1.0
    penalty: float = 0.1
    pair_weight: float = 10.0
    batch_size: int = 512
    learning_rate: float = 2e-3
    discriminator_learning_rate: float = 3e-3
    max_steps: int = 10_000
    ema_decay: float = 0.999
    patience: int = 12
    validation_share: float = 0.1
    correct: bool = True
    codec: CodecConfig = field(default_factory=CodecConfig)
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        networks = ("latent", "width", "hidden", "depth", "batch_size", "max_steps", "patience")
        others = ("discriminator_width", "discriminator_hidden", "discriminator_depth")
        for name in (*networks, *others, "temperature", "learning_rate", "discriminator_learning_rate"):
            if getattr(self, name) <= 0:
                raise GeneratorInputError(f"{NAME}: {name} must be positive", seen=getattr(self, name))
        for name in ("validation_share", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1)", seen=getattr(self, name))
        for name in ("penalty", "pair_weight"):
            if getattr(self, name) < 0:
                raise GeneratorInputError(f"{NAME}: {name} must not be negative", seen=getattr(self, name))


def build(config: Config) -> "Gan":
    """Return a synthesizer that is not fitted."""
    return Gan(config)


def load(path: Path) -> "Gan":
    """Return the fitted synthesizer that `Gan.save` wrote into the folder `path`.

    Raises:
        GeneratorInputError: there is no model of this family.

    """
    fields, codec, weights, extra = load_model(path, family=NAME)
    gan = Gan(Config(**{**fields, "codec": CodecConfig(**fields["codec"])}))
    g_net = None
    if codec.tokens:
        with isolated_rng(0, torch.device("cpu")):  # the weights are replaced; construction draws some
            g_net = _generator(codec.tokens, gan.config)
        g_net.load_state_dict(checkpoint.under("generator", weights))
        g_net.eval()
    ratio = extra["ratio"] and DensityRatio.load(extra["ratio"], checkpoint.under("ratio", weights))
    gan._fitted = (codec, g_net, ratio)  # noqa: SLF001 - the other half of this class
    return gan


class Gan:
    """A `generators.base.Synthesizer`."""

    def __init__(self, config: Config) -> None:
        """Remember the configuration; nothing is built before `fit`."""
        self.config = config
        self._fitted: tuple[TableCodec, Generator | None, DensityRatio | None] | None = None

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """See `generators.base.Synthesizer.fit`.

        Raises:
            GeneratorInputError: too few rows, or a kind of column that tables do not model.
            Diverged: the loss of either network became NaN or infinite.

        """
        began_s = time.monotonic()
        config, device = self.config, resolve(self.config.device, precision=self.config.precision)
        run_dir.mkdir(parents=True, exist_ok=True)
        codec = fit_codec(train, config.codec, seed=seed)
        notes = codec.notes(train.frame)
        tokens = torch.from_numpy(codec.encode(train.frame).astype(np.int64))
        if not codec.tokens:  # constants, ids: the codec alone says everything
            self._fitted = (codec, None, None)
            seconds = time.monotonic() - began_s
            return FitReport(family=NAME, steps=0, stopped_by="closed_form", seconds=seconds, parameters=0, notes=notes)
        with isolated_rng(derive(seed, NAME, "network"), torch.device("cpu")):
            g_net = _generator(codec.tokens, config)
            d_net = Discriminator(
                codec.tokens,
                width=config.discriminator_width,
                hidden=config.discriminator_hidden,
                depth=config.discriminator_depth,
            )
        key = train.schema.entity_key
        groups = None if key is None else train.frame[key].to_numpy()
        held = hold_out(len(tokens), seed=derive(seed, NAME), share=config.validation_share, groups=groups)
        g_net.begin_at(tokens[~held])
        reserve_s = 0.0
        if config.correct and budget.seconds is not None:
            reserve_s = min(correction_s(g_net.draw, len(train), len(codec.tokens)), MOST_CORRECTION * budget.seconds)
        networks = nn.ModuleDict({"generator": g_net, "discriminator": d_net}).to(device.torch)
        learn, check = tokens[~held].to(device.torch), tokens[held].to(device.torch)
        watch = gan_watch.Watch(codec.tokens, check, seed=derive(seed, NAME, "watch")) if len(check) else None
        trained = loop.train(
            _recipe(networks, learn, watch, config, device, seed=seed, identity=_identity(config, codec, tokens, held)),
            real_batches(learn, config.batch_size, seed=derive(seed, NAME, "batches")),
            [check] if watch else [],
            loop.TrainingConfig(
                max_steps=budget.steps or config.max_steps,
                budget=budget,
                patience=config.patience,
                ema_decay=config.ema_decay,
            ),
            seed=derive(seed, NAME, "train"),
            run_dir=run_dir,
            on_step=on_step,
            spent_s=time.monotonic() - began_s,
            reserve_s=reserve_s,
        )
        told = () if watch is None else watch.notes(g_net, trained.collapsed_step, trained.kept_step)
        g_net, ratio, correcting_s = g_net.to("cpu"), None, time.monotonic()
        if config.correct and trained.steps >= MIN_STEPS_CORRECTED:
            ratio = fit_density_ratio(
                g_net.draw, tokens.numpy(), held, codec.tokens, seed=derive(seed, NAME, "correction")
            )
        self._fitted = (codec, g_net, ratio)
        return FitReport(
            family=NAME,
            steps=trained.steps,
            stopped_by=trained.stopped_by,
            seconds=trained.seconds + time.monotonic() - correcting_s,
            parameters=sum(parameter.numel() for parameter in networks.parameters()),
            best=trained.best,
            loss_unit=gan_watch.UNIT,
            device=device.name,
            precision=device.precision,
            history=trained.history,
            notes=(*notes, *told, *trained.notes),
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """See `generators.base.Synthesizer.sample`.

        Raises:
            NotFitted: before `fit`.
            GeneratorInputError: `given` is not None; which noise makes given cells is not known here.

        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: fit or load a model before sampling")
        if given is not None:
            raise GeneratorInputError(
                f"{NAME}: cannot sample given columns",
                seen=", ".join(map(str, given.columns)),
                remedy="use tabular.autoregressive, which samples any columns given any others",
            )
        codec, g_net, ratio = self._fitted
        if g_net is None:
            tokens = np.zeros((n, 0), dtype=np.int64)
        elif ratio is None:
            tokens = g_net.draw(n, seed)
        else:
            tokens = ratio.draw(g_net.draw, n, seed=seed)
        frame = codec.decode(tokens, seed=derive(seed, NAME, "decode"))
        return Dataset(frame=frame, schema=codec.schema)

    def save(self, path: Path) -> None:
        """See `generators.base.Synthesizer.save`; the generator and the trees are written, the discriminator is not.

        Raises:
            NotFitted: before `fit`.

        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: fit a model before saving it")
        codec, g_net, ratio = self._fitted
        weights = checkpoint.named("generator", {} if g_net is None else g_net.state_dict())
        weights |= checkpoint.named("ratio", {} if ratio is None else ratio.tensors())
        extra = {"ratio": None if ratio is None else ratio.to_json()}
        save_model(path, family=NAME, config=self.config, codec=codec, weights=weights, extra=extra)


def _generator(tokens: tuple[Token, ...], config: Config) -> Generator:
    return Generator(tokens, latent=config.latent, width=config.width, hidden=config.hidden, depth=config.depth)


def _recipe(
    networks: nn.ModuleDict,
    learn: Tensor,
    watch: gan_watch.Watch | None,
    config: Config,
    device: Device,
    *,
    seed: int,
    identity: str,
) -> loop.Recipe:
    """Return two phases, the generator's and then the discriminator's on what was drawn."""
    g_net, d_net = networks["generator"], networks["discriminator"]
    assert isinstance(g_net, Generator)
    assert isinstance(d_net, Discriminator)
    game = Game(
        g_net=g_net,
        d_net=d_net,
        pair_shares=PairShares(g_net, learn, seed=derive(seed, NAME, "pairs")),
        pair_weight=config.pair_weight,
        penalty=config.penalty,
        temperature=config.temperature,
    )

    def validate(_batch: Tensor, generator: torch.Generator) -> Tensor:
        assert watch is not None
        return watch.distance(g_net, generator)

    def optimizer(network: nn.Module, rate: float) -> torch.optim.AdamW:
        return torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.0, 0.99), weight_decay=0.0, fused=True)

    return loop.Recipe(
        networks=networks,
        phases=[
            loop.Phase("generator", optimizer(g_net, config.learning_rate), game.generator_loss),
            loop.Phase("discriminator", optimizer(d_net, config.discriminator_learning_rate), game.discriminator_loss),
        ],
        validate=validate,
        device=device,
        identity=identity,
        figures=None if watch is None else lambda: watch.figures,
        collapsed=None if watch is None else gan_watch.collapsed,
        fewest_rows=2,
    )


def _identity(config: Config, codec: TableCodec, tokens: Tensor, held: np.ndarray) -> str:
    """Return a digest of what decides the path beside seed and steps: configuration, codec and data."""
    digest = hashlib.sha256(json.dumps([NAME, asdict(config), codec.to_json()], sort_keys=True).encode())
    digest.update(tokens.numpy().tobytes() + held.tobytes())
    return digest.hexdigest()
