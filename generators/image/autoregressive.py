"""`image.autoregressive`: the likelihood of a picture, pixel by pixel, by a causal transformer over cells of pixels.

A pixel is written in symbols of few categories (`levels`), a picture is cut into square cells (`cells`), a causal
transformer reads the cells row by row, and a light autoregression fills each one (`autoregressive_networks`). So a
picture of 28 x 28 is 49 steps of a transformer instead of 784, and its likelihood is still exact, in bits a value.
Pictures of more than `MOST_PIXEL_SYMBOLS` are read as learnt tokens instead (`symbols`), and the figure is a bound.

# N pictures, B batch, H height, W width, C channels, T tokens of a row's attributes, D symbols of a cell
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generators.base import Budget, GeneratorInputError, OnStep
from generators.device import BFLOAT16, Device
from generators.image.autoregressive_networks import CellTransformer, draw_cells
from generators.image.levels import LevelCode, fit_levels
from generators.image.painter import Art, Form, Painted, Pictures
from generators.image.symbols import LearntSymbols, PixelSymbols
from generators.image.synthesizer import ImageSynthesizer
from generators.nn.attributes import hidden
from generators.nn.causal import HEAD_WIDTH
from generators.training import checkpoint, loop
from generators.training.batches import ShuffledRows
from generators.training.matrix_momentum import MatrixMomentum
from generators.training.streams import isolated_rng
from sources.randomness import derive

NAME = "image.autoregressive"
SUMMARY = (
    "causal transformer over cells of pixels with an exact likelihood; draws every pixel, sharpest of small pictures"
)
SIDES = (4, 2, 1)  # of a cell, the first that a picture is large enough for
FEWEST_CELLS = 4  # along the shorter side of a picture
MOST_SYMBOLS = 64  # in a cell
MOST_PIXEL_SYMBOLS = 8_192  # of a picture that is read as it is: 64 x 64 grey, 32 x 32 in colour, both of 8 bits
LEARNT_SIDE, LEARNT_WIDTH = 2, (64, 128)  # places on a side of a cell; features of the convolutions, CPU and GPU
MANY_ROWS = 10_000  # above which dropout costs more than it gains, and a wider transformer learns in time
WIDTHS_CPU, WIDTHS_GPU = (128, 192), (256, 512)  # for few and many pictures
FEWEST_STEPS_APART = 40  # validations: few pictures are learnt by heart soon
VALIDATION_ROWS = 100  # in one piece of the validation part
MOST_DRAWN = 500  # pictures drawn at a time: what a step of them needs stays in the cache of a CPU


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: image.autoregressive, guidance: 1.5}]`.

    Args:
        side: of a cell in pixels, or in places of learnt tokens; None chooses by the size of the pictures.
        width: of the transformer, a multiple of 32; None chooses by the number of pictures and the device.
        depth: of the transformer, in blocks.
        units: hidden units for each symbol of a cell.
        embedding: numbers that a symbol is written with.
        dropout: in the transformer; None chooses by the number of pictures.
        batch_size: pictures a step; None chooses by their number and the device.
        learning_rate: its peak, for tables, vectors and heads.
        matrix_rate: the same for the matrices of hidden layers, whose moves have unit size (`matrix_momentum`).
        weight_decay: on matrices.
        hide: share of a batch that sees no attributes in training, which guidance needs.
        guidance: how far drawing leans towards the attributes: 1 draws from the likelihood, more makes pictures clearer
            and less various.
        temperature: of drawing; below 1 prefers likely pixels.
        max_epochs: where neither the budget nor the validation part ends training earlier.
        ema_decay: of the averaged weights; the falling rate averages too, so the mean is short.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows for early stopping, 2,000 rows at most.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    side: int | None = None
    width: int | None = None
    depth: int = 4
    units: int = 16
    embedding: int = 8
    dropout: float | None = None
    batch_size: int | None = None
    learning_rate: float = 2e-3
    matrix_rate: float = 2e-2
    weight_decay: float = 0.02
    hide: float = 0.1
    guidance: float = 1.0
    temperature: float = 1.0
    max_epochs: int = 400
    ema_decay: float = 0.99
    patience: int = 3
    validation_share: float = 0.1
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        counts = ("side", "width", "depth", "units", "embedding", "batch_size", "max_epochs", "patience")
        for name in (*counts, "learning_rate", "matrix_rate", "temperature"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise GeneratorInputError(f"{NAME}: {name} must be positive", seen=value)
        for name in ("dropout", "hide", "validation_share", "ema_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1)", seen=value)
        for name in ("weight_decay", "guidance"):
            if getattr(self, name) < 0:
                raise GeneratorInputError(f"{NAME}: {name} must not be negative", seen=getattr(self, name))
        if self.width is not None and self.width % HEAD_WIDTH:
            raise GeneratorInputError(
                f"{NAME}: width must be a multiple of {HEAD_WIDTH}", seen=self.width, remedy="give 128, 192 or 256"
            )


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


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The architecture: a function of the pictures' form and number, the configuration and the device alone.

    Args:
        code: how a pixel is written; None where tokens are learnt.
        side: of a cell, in pixels or in places.
        tokens_width: features of the convolutions that learn tokens.
        width, depth, units, embedding, dropout: of the transformer.
        batch_size: pictures a step.

    """

    code: LevelCode | None
    side: int
    tokens_width: int
    width: int
    depth: int
    units: int
    embedding: int
    dropout: float
    batch_size: int

    def networks(self, form: Form, *, with_encoder: bool) -> tuple[PixelSymbols | LearntSymbols, CellTransformer]:
        """Return both, with fresh weights."""
        symbols: PixelSymbols | LearntSymbols
        if self.code is None:
            symbols = LearntSymbols(form, self.side, self.tokens_width, with_encoder=with_encoder)
        else:
            symbols = PixelSymbols(form, self.code, self.side)
        return symbols, CellTransformer(
            rows=symbols.cells.rows,
            columns=symbols.cells.columns,
            sizes=symbols.sizes * self.side**2,
            inside=symbols.cells.inside(),
            attributes=form.sizes,
            ranks=form.ranks,
            width=self.width,
            depth=self.depth,
            units=self.units,
            embedding=self.embedding,
            dropout=self.dropout,
        )


class AutoregressivePainter:
    """A `generators.image.painter.Painter`."""

    def __init__(self, config: Config, form: Form, device: Device) -> None:
        """Remember what pictures look like; the networks are built in `fit`."""
        self.config, self.form, self.device = config, form, device
        self._fitted: tuple[Plan, PixelSymbols | LearntSymbols, CellTransformer] | None = None

    def fit(
        self, pictures: Pictures, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep, spent_s: float
    ) -> Painted:
        """See `generators.image.painter.Painter.fit`; the loss is -log2 p(picture | attributes) a value."""
        config, form, device = self.config, self.form, self.device
        learn, check = np.flatnonzero(~pictures.held), np.flatnonzero(pictures.held)
        plan = plan_of(config, fit_levels(pictures.images), form, len(learn), device)
        with isolated_rng(derive(seed, NAME, "network"), torch.device("cpu")):
            symbols, transformer = plan.networks(form, with_encoder=True)
        networks = nn.ModuleDict({"symbols": symbols, "transformer": transformer}).to(device.torch)
        seen = symbols.held(pictures.images, device.torch)
        tokens = torch.from_numpy(pictures.tokens).to(device.torch)
        rows = ShuffledRows(len(learn), plan.batch_size, seed=derive(seed, NAME, "batches"))
        row_numbers = torch.from_numpy(learn)

        def batch_of(picked: Tensor) -> tuple[Tensor, Tensor]:
            return seen(picked), tokens[picked.to(device.torch)]

        pieces = torch.from_numpy(check).tensor_split(-(-len(check) // VALIDATION_ROWS) or 1)
        trained = loop.train(
            self._recipe(networks, symbols, transformer, identity=pictures.identity(NAME, config)),
            lambda step: batch_of(row_numbers[rows(step)]),
            [batch_of(piece) for piece in pieces] if len(check) else [],
            loop.TrainingConfig(
                max_steps=budget.steps or config.max_epochs * rows.steps_per_epoch,
                budget=budget,
                evaluate_every=max(FEWEST_STEPS_APART, min(rows.steps_per_epoch, 500)),
                patience=config.patience,
                ema_decay=config.ema_decay,
            ),
            seed=derive(seed, NAME, "train"),
            run_dir=run_dir,
            on_step=on_step,
            spent_s=spent_s,
        )
        networks.eval()
        self._fitted = (plan, symbols, transformer)
        exact = plan.code is not None
        return Painted(
            trained=trained,
            parameters=sum(parameter.numel() for parameter in networks.parameters()),
            loss_unit="bits per dimension",
            notes=()
            if exact
            else (
                "The pictures are read as learnt tokens: the bits per dimension are a bound, and fine grain is lost.",
            ),
        )

    def _recipe(
        self,
        networks: nn.ModuleDict,
        symbols: PixelSymbols | LearntSymbols,
        transformer: CellTransformer,
        *,
        identity: str,
    ) -> loop.Recipe:
        """Return a phase for the transformer, and one for learnt tokens: negative log-likelihoods in bits a value."""
        config, sizes = self.config, self.form.sizes
        bits = 1 / (self.form.num_values * math.log(2))

        def likelihood(batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
            tokens = hidden(batch[1], sizes, config.hide, generator)
            mean: Tensor = transformer.nats(symbols.read(batch[0]), tokens).mean() * bits
            return mean

        def lost(batch: tuple[Tensor, Tensor], _: torch.Generator) -> Tensor:
            nats = symbols.lost_nats(batch[0])
            assert nats is not None
            return nats.mean() * bits

        def validate(batch: tuple[Tensor, Tensor], _: torch.Generator) -> Tensor:
            nats, lost_nats = transformer.nats(symbols.read(batch[0]), batch[1]), symbols.lost_nats(batch[0])
            mean: Tensor = (nats if lost_nats is None else nats + lost_nats).mean() * bits
            return mean

        optimizer = MatrixMomentum(
            *transformer.hidden_and_others(),
            matrix_rate=config.matrix_rate,
            rate=config.learning_rate,
            weight_decay=config.weight_decay,
            precision=torch.bfloat16 if self.device.precision == BFLOAT16 else torch.float32,
        )
        phases = [loop.Phase("likelihood", optimizer, likelihood)]
        if isinstance(symbols, LearntSymbols):
            of_tokens = torch.optim.AdamW(symbols.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
            phases.append(loop.Phase("tokens", of_tokens, lost))
        return loop.Recipe(networks=networks, phases=phases, validate=validate, device=self.device, identity=identity)

    def draw(self, tokens: Tensor, *, seed: int) -> np.ndarray:
        """See `generators.image.painter.Painter.draw`."""
        assert self._fitted is not None
        _, symbols, transformer = self._fitted
        device = self.device.torch
        if self.device.is_gpu and self.device.precision == BFLOAT16:  # rounded once; a CPU gains nothing by it
            transformer = copy.deepcopy(transformer).to(torch.bfloat16)
        generator = torch.Generator()
        generator.manual_seed(seed)
        images = np.empty((len(tokens), *self.form.shape), dtype=np.uint8 if self.form.levels == 2**8 else np.uint16)
        for start in range(0, len(tokens), MOST_DRAWN):
            piece = tokens[start : start + MOST_DRAWN].to(device)
            uniforms = torch.rand((len(piece), *transformer.inside.shape), generator=generator).to(device)
            cells = draw_cells(
                transformer, piece, uniforms, guidance=self.config.guidance, temperature=self.config.temperature
            )
            images[start : start + MOST_DRAWN] = symbols.pictures(cells)
        return images

    def tensors(self) -> Mapping[str, Tensor]:
        """See `generators.image.painter.Painter.tensors`; what reads pictures is left out."""
        assert self._fitted is not None
        _, symbols, transformer = self._fitted
        kept = {name: tensor for name, tensor in symbols.state_dict().items() if not name.startswith("encoder.")}
        return {**checkpoint.named("symbols", kept), **checkpoint.named("transformer", transformer.state_dict())}

    def to_json(self) -> dict[str, Any]:
        """See `generators.image.painter.Painter.to_json`."""
        assert self._fitted is not None
        plan = self._fitted[0]
        return {**asdict(plan), "code": None if plan.code is None else plan.code.to_json()}

    @staticmethod
    def load(
        config: Config, form: Form, device: Device, tensors: Mapping[str, Tensor], state: Mapping[str, Any]
    ) -> "AutoregressivePainter":
        """Return the painter whose `tensors` and `to_json` these are."""
        code = state["code"]
        plan = Plan(**{**state, "code": None if code is None else LevelCode.from_json(code)})
        with isolated_rng(0, torch.device("cpu")):  # the weights are replaced; construction draws some
            symbols, transformer = plan.networks(form, with_encoder=False)
        symbols.load_state_dict(checkpoint.under("symbols", tensors))
        transformer.load_state_dict(checkpoint.under("transformer", tensors))
        painter = AutoregressivePainter(config, form, device)
        painter._fitted = (plan, symbols.to(device.torch).eval(), transformer.to(device.torch).eval())
        return painter


ART = Art(name=NAME, config=Config, begin=AutoregressivePainter, load=AutoregressivePainter.load)


def plan_of(config: Config, code: LevelCode, form: Form, num_rows: int, device: Device) -> Plan:
    """Return the architecture for `num_rows` pictures of this form."""
    height, width, _ = form.shape
    per_pixel = len(code.sizes)
    fitting = [
        side for side in SIDES if side * FEWEST_CELLS <= min(height, width) and side**2 * per_pixel <= MOST_SYMBOLS
    ]
    exact = height * width * per_pixel <= MOST_PIXEL_SYMBOLS
    many = num_rows > MANY_ROWS
    return Plan(
        code=code if exact else None,
        side=config.side or ((fitting or [1])[0] if exact else LEARNT_SIDE),
        tokens_width=LEARNT_WIDTH[device.is_gpu],
        width=config.width or (WIDTHS_GPU if device.is_gpu else WIDTHS_CPU)[many],
        depth=config.depth,
        units=config.units,
        embedding=config.embedding,
        dropout=(0.0 if many else 0.1) if config.dropout is None else config.dropout,
        batch_size=max(1, min(config.batch_size or (256 if device.is_gpu else 64), num_rows // 2)),
    )
