"""`tabular.vae`: a variational autoencoder over the codec's tokens, with a mixture of Gaussians as its learnt prior.

    tokens -> embeddings -> residual trunk -> q(z | x), a diagonal Gaussian with bounded log-variance
    p(z), a mixture of diagonal Gaussians -> residual trunk -> all columns' logits in one matrix product -> p(x | z)

Columns are independent given z, so whatever they have to do with each other must go through z, and a standard normal
prior punishes just that. The prior is therefore learnt together with both networks, as a mixture (Tomczak and Welling
2018, arXiv 1705.07120, section 3, "MoG"), and a sample begins with a draw from it. The encoder is not saved, let alone
a posterior of a row; a component that stands for fewer than `PRIOR_ROWS` rows is dropped after training.

# B batch, T tokens of a row, V sizes of all tokens together, H width, Z latent, K components of the prior
"""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from generators.base import Budget, FitReport, GeneratorInputError, NotFitted, OnStep
from generators.device import Device, resolve
from generators.nn.clusters import ClusterHeads
from generators.nn.residual import Trunk
from generators.nn.segments import draw, segmented_cross_entropy, stratified_uniforms
from generators.nn.tokens import TokenInput
from generators.tabular.codec import CodecConfig, TableCodec, Token, fit_codec
from generators.tabular.density_ratio import (
    MIN_STEPS_CORRECTED,
    MOST_CORRECTION,
    DensityRatio,
    correction_s,
    fit_density_ratio,
)
from generators.tabular.model_files import load_model, save_model
from generators.tabular.row_tokens import clusters_of
from generators.training import checkpoint, loop
from generators.training.batches import ShuffledRows, hold_out
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.randomness import derive

NAME = "tabular.vae"
SUMMARY = "variational autoencoder over tokens with a learnt mixture prior; quick to train, quickest to sample"
PRIOR_ROWS = 20  # rows that a component of the prior must stand for, so that none describes a person
LOG_VARIANCE = (-7.0, 1.0)  # bounds of the posterior's, so that a row can neither be pinned down nor blow up the loss
ROWS_PER_COMPONENT = 50  # there are never more components than one for so many rows
SAMPLE_ROWS = 16_384  # rows in one piece of sampling
VALIDATION_ROWS = 4_096  # rows in one piece of the validation part, at most
LAPLACE = 0.5  # added to each token's count before the logarithm that the output bias begins with


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: tabular.vae, latent: 64, dropout: 0.1}]`.

    Args:
        latent: dimensions of z.
        width, hidden, depth: of both trunks.
        embedding: numbers per token at the input.
        components: of the prior at most.
        dropout: in the trunks.
        blank: mean share of a row's tokens that the encoder does not see in training. It cannot tell single rows apart
            then, which helps where columns are many and rows few (0.4 takes 1.4 nats off the validation loss of 450
            rows of German credit), and weakens what columns have to do with each other where they are few.
        batch_size: rows a step, at most a quarter of the training rows.
        learning_rate: its peak, for both networks.
        prior_learning_rate: the same for the mixture, which must follow the posteriors faster than they move.
        weight_decay: of AdamW, on matrices.
        kl_warmup_steps: over which the weight of the divergence grows from 0 to 1.
        max_steps: where neither the budget nor the validation part ends training earlier.
        ema_decay: of the averaged weights.
        patience: validations without a new best before the rate falls.
        validation_share: part of the training rows for early stopping.
        correct: draw again what boosted trees can still tell from training rows (`density_ratio`), after 100 steps.
        codec: what may be kept of the data.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        precision: `auto`, `float32`, `bfloat16 autocast`.

    """

    latent: int = 16
    width: int = 256
    hidden: int = 512
    depth: int = 2
    embedding: int = 16
    components: int = 256
    dropout: float = 0.05
    blank: float = 0.0
    batch_size: int = 1_024
    learning_rate: float = 2e-3
    prior_learning_rate: float = 3e-2
    weight_decay: float = 0.01
    kl_warmup_steps: int = 200
    max_steps: int = 30_000
    ema_decay: float = 0.999
    patience: int = 12
    validation_share: float = 0.1
    correct: bool = True
    codec: CodecConfig = field(default_factory=CodecConfig)
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        counts = ("latent", "width", "hidden", "depth", "embedding", "components", "batch_size", "max_steps")
        for name in (*counts, "patience", "learning_rate", "prior_learning_rate"):
            if getattr(self, name) <= 0:
                raise GeneratorInputError(f"{NAME}: {name} must be positive", seen=getattr(self, name))
        for name in ("dropout", "validation_share", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise GeneratorInputError(f"{NAME}: {name} must lie in [0, 1)", seen=getattr(self, name))
        if not 0 <= self.blank <= 1 / 2:
            raise GeneratorInputError(f"{NAME}: blank must lie in [0, 1/2]", seen=self.blank)
        for name in ("weight_decay", "kl_warmup_steps"):
            if getattr(self, name) < 0:
                raise GeneratorInputError(f"{NAME}: {name} must not be negative", seen=getattr(self, name))


def build(config: Config) -> "Vae":
    """Return a synthesizer that is not fitted."""
    return Vae(config)


def load(path: Path) -> "Vae":
    """Return the fitted synthesizer that `Vae.save` wrote into the folder `path`.

    Raises:
        GeneratorInputError: there is no model of this family.

    """
    fields, codec, weights, extra = load_model(path, family=NAME)
    vae = Vae(Config(**{**fields, "codec": CodecConfig(**fields["codec"])}))
    decoder = None
    if codec.tokens:
        with isolated_rng(0, torch.device("cpu")):  # the weights are replaced; construction draws some
            decoder = Decoder(codec.tokens, extra["components"], vae.config)
        decoder.load_state_dict(checkpoint.under("decoder", weights))
        decoder.eval()
    ratio = extra["ratio"] and DensityRatio.load(extra["ratio"], checkpoint.under("ratio", weights))
    vae._fitted = (codec, decoder, ratio)  # noqa: SLF001 - the other half of this class
    return vae


class Vae:
    """A `generators.base.Synthesizer`."""

    def __init__(self, config: Config) -> None:
        """Remember the configuration; nothing is built before `fit`."""
        self.config = config
        self._fitted: tuple[TableCodec, Decoder | None, DensityRatio | None] | None = None

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """See `generators.base.Synthesizer.fit`.

        Raises:
            GeneratorInputError: too few rows, or a kind of column that tables do not model.
            Diverged: the loss became NaN or infinite.

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
        components = max(1, min(config.components, len(train) // ROWS_PER_COMPONENT))
        with isolated_rng(derive(seed, NAME, "network"), torch.device("cpu")):
            encoder = Encoder(codec.tokens, config)
            decoder = Decoder(codec.tokens, components, config)
        decoder.begin_at(tokens)
        reserve_s = 0.0
        if config.correct and budget.seconds is not None:
            decoder.eval()
            reserve_s = min(correction_s(decoder.draw, len(train), len(codec.tokens)), MOST_CORRECTION * budget.seconds)
        networks = nn.ModuleDict({"encoder": encoder, "decoder": decoder}).to(device.torch)
        parameters = sum(parameter.numel() for parameter in networks.parameters())

        key = train.schema.entity_key
        groups = None if key is None else train.frame[key].to_numpy()
        held = torch.from_numpy(
            hold_out(len(tokens), seed=derive(seed, NAME), share=config.validation_share, groups=groups)
        )
        learn, check = tokens[~held].to(device.torch), tokens[held].to(device.torch)
        batch_size = max(1, min(config.batch_size, len(learn) // 4))
        rows = ShuffledRows(len(learn), batch_size, seed=derive(seed, NAME, "batches"))

        def batches(step: int) -> tuple[Tensor, float]:
            weight = min(1.0, (step + 1) / config.kl_warmup_steps) if config.kl_warmup_steps else 1.0
            return learn[rows(step).to(learn.device)], weight

        trained = loop.train(
            _recipe(networks, config, device, identity=_identity(config, codec, tokens, held)),
            batches,
            [(part, 1.0) for part in check.tensor_split(-(-len(check) // VALIDATION_ROWS))] if len(check) else [],
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
        decoder = decoder.to("cpu")
        decoder.drop_components(PRIOR_ROWS / len(tokens))
        decoder.eval()
        correcting_s, ratio = time.monotonic(), None
        if config.correct and trained.steps >= MIN_STEPS_CORRECTED:
            ratio = fit_density_ratio(
                decoder.draw, tokens.numpy(), held.numpy(), codec.tokens, seed=derive(seed, NAME, "correction")
            )
        self._fitted = (codec, decoder, ratio)
        return FitReport(
            family=NAME,
            steps=trained.steps,
            stopped_by=trained.stopped_by,
            seconds=trained.seconds + time.monotonic() - correcting_s,
            parameters=parameters,
            best=trained.best,
            device=device.name,
            precision=device.precision,
            history=trained.history,
            notes=(*notes, *trained.notes),
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """See `generators.base.Synthesizer.sample`.

        Raises:
            NotFitted: before `fit`.
            GeneratorInputError: `given` is not None; p(z | some columns) is known only approximately here.

        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: fit or load a model before sampling")
        if given is not None:
            raise GeneratorInputError(
                f"{NAME}: cannot sample given columns",
                seen=", ".join(map(str, given.columns)),
                remedy="use tabular.autoregressive, which samples any columns given any others",
            )
        codec, decoder, ratio = self._fitted
        if decoder is None:
            tokens = np.zeros((n, 0), dtype=np.int64)
        elif ratio is None:
            tokens = decoder.draw(n, seed)
        else:
            tokens = ratio.draw(decoder.draw, n, seed=seed)
        frame = codec.decode(tokens, seed=derive(seed, NAME, "decode"))
        return Dataset(frame=frame, schema=codec.schema)

    def save(self, path: Path) -> None:
        """See `generators.base.Synthesizer.save`; decoder and prior are written, the encoder is not.

        Raises:
            NotFitted: before `fit`.

        """
        if self._fitted is None:
            raise NotFitted(f"{NAME}: fit a model before saving it")
        codec, decoder, ratio = self._fitted
        save_model(
            path,
            family=NAME,
            config=self.config,
            codec=codec,
            weights={
                **checkpoint.named("decoder", {} if decoder is None else decoder.state_dict()),
                **checkpoint.named("ratio", {} if ratio is None else ratio.tensors()),
            },
            extra={
                "components": 0 if decoder is None else decoder.num_components,
                "ratio": None if ratio is None else ratio.to_json(),
            },
        )


class Encoder(nn.Module):
    """q(z | x): int64 tokens B T -> mean B Z, log-variance B Z, both float32."""

    def __init__(self, tokens: Sequence[Token], config: Config) -> None:
        """Build it; posteriors begin narrow, so that z says something from the first step on."""
        super().__init__()
        sizes, ranks = [token.size for token in tokens], [token.ranks for token in tokens]
        self.input = TokenInput(sizes, ranks, config.embedding, config.width, clusters=clusters_of(tokens))
        self.trunk = Trunk(config.width, config.hidden, config.depth, config.dropout)
        self.posterior = nn.Linear(config.width, 2 * config.latent)
        with torch.no_grad():
            self.posterior.bias[config.latent :] = -1.0

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Return (mean, log-variance within `LOG_VARIANCE`)."""
        mean, raw = self.posterior(self.trunk(self.input(tokens))).float().chunk(2, dim=1)
        low, high = LOG_VARIANCE
        return mean, low + (high - low) * torch.sigmoid(raw)


class Decoder(nn.Module):
    """p(z) and p(x | z): z B Z -> logits B V.

    Args:
        tokens: of the codec.
        components: K.
        config: see `Config`.

    """

    def __init__(self, tokens: Sequence[Token], components: int, config: Config) -> None:
        """Build it; logits begin as the bias alone, which `begin_at` sets."""
        super().__init__()
        self.tokens = tuple(tokens)
        self.sizes = tuple(token.size for token in tokens)
        self.prior_logits = nn.Parameter(torch.zeros(components))
        self.prior_means = nn.Parameter(torch.randn(components, config.latent))
        self.prior_log_variances = nn.Parameter(torch.zeros(components, config.latent))
        self.input = nn.Linear(config.latent, config.width)
        self.trunk = Trunk(config.width, config.hidden, config.depth, config.dropout)
        self.heads = nn.Linear(config.width, sum(self.sizes))
        nn.init.zeros_(self.heads.weight)
        self.clusters = ClusterHeads(self.sizes, clusters_of(tokens), config.width)

    @property
    def num_components(self) -> int:
        """K."""
        return len(self.prior_logits)

    @torch.no_grad()
    def begin_at(self, tokens: Tensor) -> None:
        """Set the output bias to the logarithm of each token's frequency among int64 tokens N T."""
        counts = [
            torch.bincount(column, minlength=size) for column, size in zip(tokens.unbind(1), self.sizes, strict=True)
        ]
        biases = torch.split(((torch.cat(counts) + LAPLACE) / len(tokens)).log(), list(self.sizes))
        within = self.clusters.coarse  # there the clusters' own heads begin at the frequencies
        flat = [torch.zeros_like(bias) if place in within else bias for place, bias in enumerate(biases)]
        self.heads.bias.copy_(torch.cat(flat))
        self.clusters.begin_at(tokens)

    def forward(self, z: Tensor, tokens: Tensor) -> Tensor:
        """Return logits, B V, for z, B Z, and rows whose coarse tokens say in which cluster a label is, int64 B T."""
        features = self.trunk(self.input(z))
        logits: Tensor = self.clusters.add_to(self.heads(features), features, tokens)
        return logits

    def log_prior(self, z: Tensor) -> Tensor:
        """Return log p(z), B, for float32 z, B Z."""
        precision = torch.exp(-self.prior_log_variances)
        squares = (
            (z**2) @ precision.T
            - 2 * z @ (self.prior_means * precision).T
            + (self.prior_means**2 * precision + self.prior_log_variances + math.log(2 * math.pi)).sum(1)
        )
        return torch.logsumexp(torch.log_softmax(self.prior_logits, 0) - squares / 2, dim=1)

    @torch.no_grad()
    def drop_components(self, share: float) -> None:
        """Keep the components of the prior that weigh at least `share`, and the heaviest in any case."""
        weights = torch.softmax(self.prior_logits, 0)
        keep = (weights >= share) | (weights == weights.max())
        self.prior_logits = nn.Parameter(self.prior_logits[keep])
        self.prior_means = nn.Parameter(self.prior_means[keep])
        self.prior_log_variances = nn.Parameter(self.prior_log_variances[keep])

    @torch.no_grad()
    def draw(self, n: int, seed: int) -> np.ndarray:
        """Return `n` rows of tokens, int64 n T; see `sample`."""
        pieces = [np.zeros((0, len(self.sizes)), dtype=np.int64)]
        for start in range(0, n, SAMPLE_ROWS):
            generator = torch.Generator()
            generator.manual_seed(derive(seed, NAME, "sample", start))
            pieces.append(self.sample(min(SAMPLE_ROWS, n - start), generator).numpy())
        return np.concatenate(pieces)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Return `n` rows of tokens, int64 n T, in evaluation mode on the CPU."""
        shares = torch.softmax(self.prior_logits, 0).expand(n, -1)
        chosen = draw(shares, stratified_uniforms(n, generator))
        noise = torch.randn(n, self.prior_means.shape[1], generator=generator)
        z = self.prior_means[chosen] + torch.exp(self.prior_log_variances[chosen] / 2) * noise
        features = self.trunk(self.input(z))
        drawn = torch.empty((n, len(self.sizes)), dtype=torch.int64)
        for place, (token, logits) in enumerate(
            zip(self.tokens, self.heads(features).split(self.sizes, dim=1), strict=True)
        ):
            allowed = torch.from_numpy(token.emit).expand(n, -1)
            if token.valid is not None and token.parent is not None:
                allowed = allowed & torch.from_numpy(token.valid)[drawn[:, token.parent]]
            full = self.clusters.add_at(place, logits, features, drawn)
            probabilities = torch.softmax(full.masked_fill(~allowed, -torch.inf), dim=1)
            drawn[:, place] = draw(probabilities, stratified_uniforms(n, generator))
        return drawn


def _recipe(networks: nn.ModuleDict, config: Config, device: Device, *, identity: str) -> loop.Recipe:
    """Return one phase: the negative evidence lower bound, its divergence weighted by the batch's second part."""
    encoder, decoder = networks["encoder"], networks["decoder"]
    assert isinstance(decoder, Decoder)
    unknown = torch.tensor(decoder.sizes, device=device.torch)

    def loss(batch: tuple[Tensor, float], generator: torch.Generator) -> Tensor:
        rows, divergence_weight = batch
        mean, log_variance = encoder(_blanked(rows, unknown, config.blank, generator) if networks.training else rows)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + torch.exp(log_variance / 2) * noise
        weights = torch.full(rows.shape, 1 / len(rows), device=rows.device)
        reconstruction = segmented_cross_entropy(decoder(z, rows), rows, weights, decoder.sizes)
        with torch.autocast(device.torch.type, enabled=False):
            log_posterior = -0.5 * (noise**2 + log_variance + math.log(2 * math.pi)).sum(1)
            divergence = (log_posterior - decoder.log_prior(z)).mean()  # one draw of z a row, without bias
        bound: Tensor = reconstruction + divergence_weight * divergence
        return bound

    mixture = [decoder.prior_logits, decoder.prior_means, decoder.prior_log_variances]
    theirs = {id(parameter) for parameter in mixture}
    others = [parameter for parameter in networks.parameters() if id(parameter) not in theirs]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0},
        {"params": mixture, "weight_decay": 0.0, "lr": config.prior_learning_rate},
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
    return loop.Recipe(
        networks=networks,
        phases=[loop.Phase("vae", optimizer, loss)],
        validate=loss,
        device=device,
        identity=identity,
    )


def _blanked(rows: Tensor, unknown: Tensor, blank: float, generator: torch.Generator) -> Tensor:
    """Return int64 tokens B T with a share of each row, uniform in [0, 2 `blank`], replaced by `unknown`, T."""
    share = 2 * blank * torch.rand((len(rows), 1), generator=generator, device=rows.device)
    hidden = torch.rand(rows.shape, generator=generator, device=rows.device) < share
    return torch.where(hidden, unknown, rows)


def _identity(config: Config, codec: TableCodec, tokens: Tensor, held: Tensor) -> str:
    """Return a digest of what decides the path beside seed and steps: configuration, codec and data."""
    digest = hashlib.sha256(json.dumps([NAME, asdict(config), codec.to_json()], sort_keys=True).encode())
    digest.update(tokens.numpy().tobytes())
    digest.update(held.numpy().tobytes())
    return digest.hexdigest()
