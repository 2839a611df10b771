"""`image.vae`: a hierarchical variational autoencoder with a discretised mixture of logistics for every pixel.

Latents lie on grids of two or three scales and one vector above them; the priors are learnt and see the attributes
(`vae_networks`). What pixels have to do with each other goes through the latents, so a picture is drawn by drawing
latents and then every pixel by itself, with as much grain as held-out pictures have (`vae_grain`). The encoder is not
saved, let alone a posterior of a picture.

# N pictures, B batch, H height, W width, C channels, T tokens of a row's attributes
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generators.base import Budget, GeneratorInputError, OnStep
from generators.device import Device
from generators.image.painter import Art, Form, Painted, Pictures
from generators.image.pixels import Held, to_pixels
from generators.image.synthesizer import ImageSynthesizer
from generators.image.vae_grain import chosen_grain, pixels_of
from generators.image.vae_networks import Decoder, Encoder, Plan, begin_at, fitted_to
from generators.nn.attributes import hidden
from generators.nn.logistics import Mixture
from generators.training import loop
from generators.training.batches import ShuffledRows
from generators.training.streams import isolated_rng
from sources.randomness import derive, stream

NAME = "image.vae"
SUMMARY = "hierarchical variational autoencoder for pictures; quick to train and to sample, exact about its bound"
LIKELY_PIXELS = 2**20  # pixels that say where the mixtures begin
BATCH_PIXELS = 2**20  # of a batch on a CPU at most; a mixture for each takes some hundred bytes
GRID = 16  # places on the longer side of the finest latent grid, at most, by the choice of patches
MOST_SCALES = 3
SMALLEST_GRID = 4  # of the coarsest


Batch = tuple[Tensor, float]
"""Row numbers, int64 B, and the weight of the divergence."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: image.vae, width: 96}]`.

    Args:
        width: features at the finest scale, twice that below; None chooses by the size of the pictures and the device.
        whole: features of the layers that see the picture as a whole.
        depth: latent grids at each scale but the finest, which has one.
        latent: channels of a latent grid.
        top: numbers of the latent above all grids.
        components: of the mixture for a pixel.
        dropout: of feature maps in the encoder; None chooses by the number of pictures.
        batch_size: pictures a step; None chooses by their number and the device.
        learning_rate: its peak.
        weight_decay: of AdamW, on matrices.
        hide: share of a batch that sees no attributes in training.
        kl_warmup_steps: over which the weight of the divergence grows from 0 to 1.
        fine_weight: of the divergence of the grids in training, where that of the vector above them has 1: what can be
            said of the picture as a whole is said there, and draws hang together.
        temperature: factor on the standard deviations of the grids' priors in drawing; the vector above them, which
            says how pictures differ as wholes, is drawn as it is.
        grain: factor on the spread of each pixel in drawing, 0 draws means alone; None lets held-out pictures choose.
        max_epochs: where neither the budget nor the validation part ends training earlier.
        ema_decay: of the averaged weights.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows for early stopping, 2,000 rows at most.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    width: int | None = None
    whole: int = 512
    depth: int = 2
    latent: int = 8
    top: int = 32
    components: int = 4
    dropout: float | None = None
    batch_size: int | None = None
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    hide: float = 0.05
    kl_warmup_steps: int = 300
    fine_weight: float = 2.0
    temperature: float = 1.0
    grain: float | None = None
    max_epochs: int = 400
    ema_decay: float = 0.999
    patience: int = 12
    validation_share: float = 0.1
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        counts = ("width", "whole", "depth", "latent", "top", "components", "batch_size", "max_epochs", "patience")
        for name in (*counts, "learning_rate", "temperature", "fine_weight"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise GeneratorInputError(f"{NAME}: {name} must be positive", seen=value)
        for name in ("dropout", "hide", "validation_share", "ema_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1)", seen=value)
        for name in ("weight_decay", "kl_warmup_steps", "grain"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise GeneratorInputError(f"{NAME}: {name} must not be negative", seen=value)


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


class VaePainter:
    """A `generators.image.painter.Painter`."""

    def __init__(self, config: Config, form: Form, device: Device) -> None:
        """Remember what pictures look like; the networks are built in `fit`."""
        self.config, self.form, self.device = config, form, device
        self._decoder: Decoder | None = None
        self._grain = config.grain

    def fit(
        self, pictures: Pictures, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep, spent_s: float
    ) -> Painted:
        """See `generators.image.painter.Painter.fit`; the loss is the negative evidence lower bound in bits a value."""
        config, form, device = self.config, self.form, self.device
        learn = np.flatnonzero(~pictures.held)
        plan = plan_of(config, form, len(learn), device)
        with isolated_rng(derive(seed, NAME, "network"), torch.device("cpu")):
            encoder, decoder = Encoder(form, plan), Decoder(form, plan, learns=True)
        some = stream(seed, NAME, "likely pixels").permutation(learn)[: max(LIKELY_PIXELS // form.num_places, 1)]
        begin_at(decoder, pictures.images[some])
        networks = nn.ModuleDict({"encoder": encoder, "decoder": decoder}).to(device.torch)
        held, tokens = Held(pictures.images, device.torch), torch.from_numpy(pictures.tokens).to(device.torch)
        size = _batch_size(config, form, len(learn), device)
        rows = ShuffledRows(len(learn), size, seed=derive(seed, NAME, "batches"))
        row_numbers, check = torch.from_numpy(learn), torch.from_numpy(np.flatnonzero(pictures.held))

        def batches(step: int) -> Batch:
            weight = min(1.0, (step + 1) / config.kl_warmup_steps) if config.kl_warmup_steps else 1.0
            return row_numbers[rows(step)], weight

        trained = loop.train(
            _recipe(networks, config, device, held, tokens, identity=pictures.identity(NAME, config)),
            batches,
            [(part, 1.0) for part in check.tensor_split(-(-len(check) // size))] if len(check) else [],
            loop.TrainingConfig(
                max_steps=budget.steps or config.max_epochs * rows.steps_per_epoch,
                budget=budget,
                evaluate_every=max(100, min(rows.steps_per_epoch, 400)),
                patience=config.patience,
                ema_decay=config.ema_decay,
            ),
            seed=derive(seed, NAME, "train"),
            run_dir=run_dir,
            on_step=on_step,
            spent_s=spent_s,
        )
        self._decoder = decoder.eval()
        if config.grain is None:
            self._grain = chosen_grain(pictures, held, self._mixture, seed=derive(seed, NAME, "grain"))
        return Painted(
            trained=trained,
            parameters=sum(parameter.numel() for parameter in networks.parameters()),
            loss_unit="bits per dimension",
        )

    def draw(self, tokens: Tensor, *, seed: int) -> np.ndarray:
        """See `generators.image.painter.Painter.draw`."""
        device = self.device.torch
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        mixture = self._mixture(tokens.to(device), generator)
        return to_pixels(pixels_of(mixture, self._grain, generator), self.form.levels)

    def _mixture(self, tokens: Tensor, generator: torch.Generator) -> Mixture:
        """Return what latents drawn for tokens (int64 B T on the device) say of each pixel."""
        assert self._decoder is not None
        with torch.no_grad(), self.device.autocast():
            mixture: Mixture = self._decoder(tokens, None, generator, self.config.temperature)[0]
        return mixture

    def tensors(self) -> Mapping[str, Tensor]:
        """See `generators.image.painter.Painter.tensors`; encoder and posteriors are left out."""
        assert self._decoder is not None
        return {name: tensor for name, tensor in self._decoder.state_dict().items() if "posterior" not in name}

    def to_json(self) -> dict[str, Any]:
        """See `generators.image.painter.Painter.to_json`."""
        assert self._decoder is not None
        return {"plan": asdict(self._decoder.plan), "grain": self._grain}

    @staticmethod
    def load(
        config: Config, form: Form, device: Device, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> "VaePainter":
        """Return the painter whose `tensors` and `to_json` these are."""
        shape = state["plan"]
        plan = Plan(**{**shape, "widths": tuple(shape["widths"]), "depth": tuple(shape["depth"])})
        with isolated_rng(0, torch.device("cpu")):  # the weights are replaced; construction draws some
            decoder = Decoder(form, plan, learns=False)
        decoder.load_state_dict(dict(tensors))
        painter = VaePainter(config, form, device)
        painter._decoder, painter._grain = decoder.to(device.torch).eval(), state["grain"]
        return painter


ART = Art(name=NAME, config=Config, begin=VaePainter, load=VaePainter.load)


def plan_of(config: Config, form: Form, num_rows: int, device: Device) -> Plan:
    """Return the architecture for `num_rows` pictures of this form: a function of nothing else."""
    longer = max(form.shape[:2])
    patch = 1
    while -(-longer // patch) > GRID:
        patch *= 2
    scales = 1
    while scales < MOST_SCALES and min(form.shape[:2]) // (patch * 2**scales) >= SMALLEST_GRID:
        scales += 1
    width = config.width or (128 if device.is_gpu else 32)
    return Plan(
        patch=patch,
        widths=tuple(width * min(2**scale, 2) for scale in range(scales)),
        whole=config.whole,
        depth=(1, *[config.depth] * (scales - 1)) if scales > 1 else (config.depth,),
        latent=config.latent,
        top=config.top,
        components=config.components,
        dropout=(0.0 if num_rows > 10_000 else 0.1) if config.dropout is None else config.dropout,  # noqa: PLR2004
    )


def _batch_size(config: Config, form: Form, num_rows: int, device: Device) -> int:
    most, pixels = (512, 16 * BATCH_PIXELS) if device.is_gpu else (64, BATCH_PIXELS)
    most = min(most, max(pixels // form.num_places, 1))
    return max(1, min(config.batch_size or most, num_rows // 2))


def _recipe(
    networks: nn.ModuleDict, config: Config, device: Device, held: Held, tokens: Tensor, *, identity: str
) -> loop.Recipe:
    """Return one phase: the bound in bits a value, its divergence weighted by the batch's second part."""
    encoder, decoder = networks["encoder"], networks["decoder"]
    assert isinstance(decoder, Decoder)
    form, plan = decoder.form, decoder.plan
    bits = 1 / (form.num_values * math.log(2))
    figures: dict[str, float] = {}

    def parts(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        pictures, told = held.at(rows), tokens[rows.to(tokens.device)]
        if networks.training:
            told = hidden(told, form.sizes, config.hide, generator)
        mixture, divergences = decoder(told, encoder(fitted_to(pictures, plan)), generator)
        with torch.autocast(device.torch.type, enabled=False):
            lost = -mixture.log_likelihood(pictures).flatten(1).sum(1).mean()
            top, *fine = (divergence.mean() * bits for divergence in divergences)
            return lost * bits, top, torch.stack(fine).sum()

    def loss(batch: Batch, generator: torch.Generator) -> Tensor:
        lost, top, fine = parts(batch[0], generator)
        return lost + batch[1] * (top + config.fine_weight * fine)

    def validate(batch: Batch, generator: torch.Generator) -> Tensor:
        lost, top, fine = parts(batch[0], generator)
        figures.update(whole_divergence=float(top), fine_divergence=float(fine))
        return lost + top + fine

    matrices = [parameter for parameter in networks.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in networks.parameters() if parameter.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        lr=config.learning_rate,
        betas=(0.9, 0.99),
        fused=True,
    )
    return loop.Recipe(
        networks=networks,
        phases=[loop.Phase("vae", optimizer, loss)],
        validate=validate,
        device=device,
        identity=identity,
        figures=lambda: dict(figures),
    )
