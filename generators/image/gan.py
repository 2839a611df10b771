"""`image.gan`: two networks against each other over pictures, both told the attributes.

    noise, attributes -> grids, coarse to fine -> picture -> discriminator <- real picture, the same attributes

What each network learns from is in `gan_losses`, what they are made of in `gan_networks`. Of few pictures the
discriminator sees changed ones (`gan_augment`). The generator's average is compared with pictures that neither network
saw (`gan_watch`): the distance chooses what is kept, and a collapse sends training back to its best step. The generator
alone is saved, because a discriminator remembers real pictures.

Levels are continuous inside and rounded at the end; of 16 bits the last ones are therefore noise.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generators.base import Budget, GeneratorInputError, OnStep
from generators.device import Device
from generators.image import gan_watch
from generators.image.gan_augment import Augmentation
from generators.image.gan_losses import MEASURE_EVERY, Batch, Game
from generators.image.gan_networks import GROUP, Architecture, Discriminator, Generator
from generators.image.painter import Art, Form, Painted, Pictures
from generators.image.pixels import LEVELS, Held, cropped, padded, to_pixels
from generators.image.random_features import RandomFeatures
from generators.image.synthesizer import ImageSynthesizer
from generators.training import loop
from generators.training.batches import ShuffledRows
from generators.training.streams import isolated_rng
from sources.randomness import derive, stream

NAME = "image.gan"
SUMMARY = "adversarial networks for pictures, sharp from the first minutes; watches its variety and the discriminator"
FINEST = 16  # places on the longer side of the finest grid of features, at most, on a CPU; twice that on a GPU
COARSEST = 7  # of the coarsest
PENALTY_VALUES = 784  # values of a picture that `penalty` is meant for: the more values, the smaller slopes are anyway
MANY_ROWS = 10_000  # pictures of which augmentation begins at none
FULL_AFTER = (50_000, 500_000)  # pictures shown, at least and at most, until augmentation can be certain
FULL_EPOCHS = 40  # the same in passes over the training rows
WATCHED_ROWS = 4_000  # pictures that features are whitened by and labels read off by, at most
ROUNDED = "levels of 16 bits are drawn as continuous numbers and rounded: the last bits are noise"
DRAWN_PIECE = 256  # pictures at a time while watching


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: image.gan, width: 96}]`.

    Args:
        width: features of the finest grid, a multiple of 8, twice that on coarser ones; None chooses by the device.
        depth: blocks on each grid; None chooses by the device.
        latent: numbers of noise that a picture is made of.
        condition: numbers that the attributes become.
        penalty: gamma, the weight of the discriminator's gradient penalties at the beginning; it falls to a tenth.
        penalised: share of every fourth batch that they are estimated from.
        hide: share of a batch that sees no attributes in training.
        augment: probability of changing what the discriminator sees; None adapts it to overfitting.
        batch_size: pictures a step; None chooses by the device, at most half of the pictures.
        learning_rate: its peak, of both networks.
        max_steps: where neither the budget nor the validation part ends training earlier.
        ema_decay: of the averaged weights.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows that chooses what is kept, 2,000 rows at most.
        compile: compile the generator on a GPU; the penalties need the discriminator as it is.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    width: int | None = None
    depth: int | None = None
    latent: int = 64
    condition: int = 32
    penalty: float = 0.1
    penalised: float = 0.25
    hide: float = 0.05
    augment: float | None = None
    batch_size: int | None = None
    learning_rate: float = 2e-3
    max_steps: int = 20_000
    ema_decay: float = 0.999
    patience: int = 20
    validation_share: float = 0.1
    compile: bool = True
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        counts = ("width", "depth", "latent", "condition", "batch_size", "max_steps", "patience")
        for name in (*counts, "learning_rate", "penalised"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise GeneratorInputError(f"{NAME}: {name} must be positive", seen=value)
        for name in ("hide", "validation_share", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1)", seen=getattr(self, name))
        for name in ("penalised", "augment"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1]", seen=value)
        if self.penalty < 0:
            raise GeneratorInputError(f"{NAME}: penalty must not be negative", seen=self.penalty)
        if self.width is not None and self.width % (GROUP // 2):
            raise GeneratorInputError(f"{NAME}: width must be a multiple of {GROUP // 2}", seen=self.width)


def build(config: Config) -> ImageSynthesizer:
    """Return a synthesizer that is not fitted."""
    return ImageSynthesizer(ART, config)


def load(path: Path, *, device: str | None = None) -> ImageSynthesizer:
    """Return the fitted synthesizer that was saved into the folder `path`.

    Args:
        path: the folder.
        device: as in `Config`; None is the CPU where the model was fitted with `device="cpu"`, else `auto`.

    Raises:
        GeneratorInputError: there is no model of this family.

    """
    return ImageSynthesizer.load(ART, path, device=device)


class GanPainter:
    """A `generators.image.painter.Painter`."""

    def __init__(self, config: Config, form: Form, device: Device) -> None:
        """Remember what pictures look like; the networks are built in `fit`."""
        self.config, self.form, self.device = config, form, device
        self._g_net: Generator | None = None

    def fit(
        self, pictures: Pictures, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep, spent_s: float
    ) -> Painted:
        """See `generators.image.painter.Painter.fit`; the loss is a distance to held-out pictures."""
        config, form, device = self.config, self.form, self.device
        learn, check = np.flatnonzero(~pictures.held), np.flatnonzero(pictures.held)
        architecture = architecture_of(config, form, device)
        with isolated_rng(derive(seed, NAME, "network"), torch.device("cpu")):
            g_net = Generator(form.sizes, form.ranks, architecture)
            d_net = Discriminator(form.sizes, form.ranks, architecture)
        g_net.begin_at(_mean_colour(pictures, learn))
        batch_size = max(2, min(config.batch_size or (256 if device.is_gpu else 64), len(learn) // 2))
        augmentation = _augmentation(config, len(learn), len(check), batch_size)
        networks = nn.ModuleDict({"generator": g_net, "discriminator": d_net, "augmentation": augmentation})
        networks.to(device.torch).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images, tokens = Held(pictures.images, device.torch), torch.from_numpy(pictures.tokens).to(device.torch)

        def at(rows: Tensor) -> tuple[Tensor, Tensor]:
            rows = rows.to(device.torch)
            return padded(images.at(rows), architecture.multiple), tokens[rows]

        game = Game(
            g_net=g_net,
            d_net=d_net,
            augmentation=augmentation,
            pictures=at,
            sizes=form.sizes,
            penalty=config.penalty * math.prod(form.shape) / PENALTY_VALUES,
            penalised=config.penalised,
            hide=config.hide,
        )
        watch = _watch(images, tokens, learn, check, form, seed=derive(seed, NAME, "watch"))
        if device.is_gpu and config.compile:
            g_net.compile()
        trained = loop.train(
            _recipe(game, networks, watch, config, device, identity=pictures.identity(NAME, config)),
            _batches(learn, check, batch_size, seed=derive(seed, NAME, "batches")),
            [torch.from_numpy(check)] if watch else [],
            loop.TrainingConfig(
                max_steps=budget.steps or config.max_steps,
                budget=budget,
                evaluate_every=200,
                patience=config.patience,
                ema_decay=config.ema_decay,
                clip_norm=10.0,
            ),
            seed=derive(seed, NAME, "train"),
            run_dir=run_dir,
            on_step=on_step,
            spent_s=spent_s,
        )
        self._g_net = g_net.eval()
        return Painted(
            trained=trained,
            parameters=sum(parameter.numel() for parameter in networks.parameters()),
            loss_unit=gan_watch.UNIT,
            notes=(
                *gan_watch.notes(trained.history, trained.collapsed_step, trained.kept_step),
                *((ROUNDED,) if form.levels > LEVELS[np.dtype(np.uint8)] else ()),
            ),
        )

    def draw(self, tokens: Tensor, *, seed: int) -> np.ndarray:
        """See `generators.image.painter.Painter.draw`."""
        assert self._g_net is not None
        device = self.device.torch
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        with torch.no_grad(), self.device.autocast():
            drawn = self._g_net(self._g_net.noise(len(tokens), generator), tokens.to(device))
        return to_pixels(cropped(drawn, *self.form.shape[:2]), self.form.levels)

    def tensors(self) -> Mapping[str, Tensor]:
        """See `generators.image.painter.Painter.tensors`; the discriminator is left out."""
        assert self._g_net is not None
        return self._g_net.state_dict()

    def to_json(self) -> dict[str, Any]:
        """See `generators.image.painter.Painter.to_json`."""
        assert self._g_net is not None
        return asdict(self._g_net.architecture)

    @staticmethod
    def load(
        config: Config, form: Form, device: Device, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> "GanPainter":
        """Return the painter whose `tensors` and `to_json` these are."""
        architecture = Architecture(**{**state, "widths": tuple(state["widths"])})
        with isolated_rng(0, torch.device("cpu")):  # the weights are replaced; construction draws some
            g_net = Generator(form.sizes, form.ranks, architecture)
        g_net.load_state_dict(dict(tensors))
        painter = GanPainter(config, form, device)
        painter._g_net = g_net.to(device.torch).eval()
        return painter


ART = Art(name=NAME, config=Config, begin=GanPainter, load=GanPainter.load)


def architecture_of(config: Config, form: Form, device: Device) -> Architecture:
    """Return the sizes of both networks for pictures of this form; a function of nothing else.

    On a CPU half a million pictures have to be shown within some ten minutes, which is what these widths are for.
    """
    height, width, channels = form.shape
    longer = max(height, width)
    patch = 1
    while -(-longer // patch) > (2 * FINEST if device.is_gpu else FINEST):
        patch *= 2
    grids = 1
    while -(-longer // (patch * 2 ** (grids - 1))) > COARSEST:
        grids += 1
    finest = config.width or (128 if device.is_gpu else 48)
    return Architecture(
        height=height,
        width=width,
        channels=channels,
        patch=patch,
        widths=tuple(finest * min(2**coarser, 2) for coarser in reversed(range(grids))),
        depth=config.depth or (2 if device.is_gpu else 1),
        latent=config.latent,
        condition=config.condition,
    )


def _mean_colour(pictures: Pictures, learn: np.ndarray) -> Tensor:
    """Return the mean of each channel over some of the pictures, float C in [-1, 1]."""
    some = pictures.images[learn[:WATCHED_ROWS]].mean(axis=(0, 1, 2), dtype=np.float64)
    return torch.from_numpy(some * 2 / (pictures.form.levels - 1) - 1).float()


def _augmentation(config: Config, num_rows: int, num_check: int, batch_size: int) -> Augmentation:
    """Return it with a probability that is fixed, or that one measurement every few steps moves."""
    if config.augment is not None:
        return Augmentation(config.augment, 0.0)
    least, most = FULL_AFTER
    full_after = min(max(FULL_EPOCHS * num_rows, least), most)
    return Augmentation(
        0.0 if num_rows >= MANY_ROWS else 0.2,
        MEASURE_EVERY * batch_size / full_after if num_check else 0.0,
    )


def _batches(learn: np.ndarray, check: np.ndarray, batch_size: int, *, seed: int) -> Callable[[int], Batch]:
    """Return step -> (rows to learn from, held-out rows, step)."""
    learnt, held = torch.from_numpy(learn), torch.from_numpy(check)
    chosen = ShuffledRows(len(learn), batch_size, seed=derive(seed, "learn"))
    looked_at = ShuffledRows(len(check), batch_size, seed=derive(seed, "check")) if len(check) else None

    def batches(step: int) -> Batch:
        return learnt[chosen(step)], held if looked_at is None else held[looked_at(step)], step

    return batches


def _watch(
    images: Held, tokens: Tensor, learn: np.ndarray, check: np.ndarray, form: Form, *, seed: int
) -> gan_watch.Watch | None:
    """Return what compares with the validation part, or None where that is too small to say anything."""
    if len(check) < gan_watch.FEWEST:
        return None
    some = torch.from_numpy(stream(seed, "some").permutation(learn)[:WATCHED_ROWS])
    held = torch.from_numpy(check)[: gan_watch.MOST_DRAWN]
    known = images.at(some)
    features = RandomFeatures(known, seed=seed)
    return gan_watch.Watch(
        features=features,
        learnt=(features(known), tokens[some.to(tokens.device)]),
        held=(features(images.at(held)), tokens[held.to(tokens.device)]),
        sizes=form.sizes,
        ranks=form.ranks,
    )


def _recipe(
    game: Game, networks: nn.ModuleDict, watch: gan_watch.Watch | None, config: Config, device: Device, *, identity: str
) -> loop.Recipe:
    """Return two phases, the discriminator's and then the generator's, which lives on what the first one found."""
    g_net, d_net, augmentation = game.g_net, game.d_net, game.augmentation
    architecture = g_net.architecture

    def validate(_check: Tensor, generator: torch.Generator) -> Tensor:
        assert watch is not None
        wanted = watch.tokens
        noise = g_net.noise(len(wanted), generator)
        pieces = zip(torch.split(noise, DRAWN_PIECE), torch.split(wanted, DRAWN_PIECE), strict=True)
        drawn = torch.cat([g_net(*piece).float() for piece in pieces])
        return watch.distance(cropped(drawn, architecture.height, architecture.width))

    def figures() -> Mapping[str, float]:
        assert watch is not None
        told = {"augmentation": float(augmentation.probability), "overfitting": augmentation.overfitting}
        return {**watch.figures, **told}

    def optimizer(network: nn.Module) -> torch.optim.AdamW:
        rate = config.learning_rate
        return torch.optim.AdamW(network.parameters(), lr=rate, betas=(0.0, 0.99), weight_decay=0.0, fused=True)

    return loop.Recipe(
        networks=networks,
        phases=[
            loop.Phase("discriminator", optimizer(d_net), game.discriminator_loss),
            loop.Phase("generator", optimizer(g_net), game.generator_loss),
        ],
        validate=validate,
        device=device,
        identity=identity,
        figures=None if watch is None else figures,
        collapsed=None if watch is None else gan_watch.collapsed,
        fewest_rows=2,
    )
