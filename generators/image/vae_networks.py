"""The networks of `image.vae`: a ladder of latent grids, drawn from the coarsest to the finest.

    picture -> patches -> residual blocks, halved at each scale -> one vector          (bottom up, training alone)
    attributes -> z of one vector -> z of the coarsest grid -> ... -> z of the finest   (top down)
               -> mixture of logistics for every pixel

Each latent has a learnt prior given everything above it, and a posterior that is told as its difference from the prior
(Sønderby et al. 2016, arXiv 1602.02282; Vahdat and Kautz 2020, arXiv 2007.03898, section 3.2; Child 2021, arXiv
2011.10650, section 3).

# B batch, C channels, H height, W width, T tokens of the attributes, F features, Z channels of a latent
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from generators.image.painter import Form
from generators.image.pixels import cropped, margins, padded
from generators.nn.attributes import AttributeInput
from generators.nn.convolutions import Convolution
from generators.nn.logistics import Mixture, mixture_of, num_parameters

PRIOR_LOG_VARIANCE = 3.0  # bound of a prior's log-variance on both sides, softly
NARROWER, WIDER = 8.0, 2.0  # how much narrower or wider than its prior a posterior may be, in log-variance


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The architecture.

    Args:
        patch: pixels on a side of what the finest grid sees as one place.
        widths: features at each scale, finest first.
        whole: features of what sees the picture as a whole, where places are no longer apart.
        depth: latents at each scale, finest first.
        latent: channels of a grid's latent.
        top: numbers of the latent that is one vector.
        components: of the mixture for a pixel.
        dropout: of whole feature maps, in the encoder.

    """

    patch: int
    widths: tuple[int, ...]
    whole: int
    depth: tuple[int, ...]
    latent: int
    top: int
    components: int
    dropout: float

    @property
    def multiple(self) -> int:
        """What both sides of a picture are padded to a multiple of."""
        return int(self.patch * 2 ** (len(self.widths) - 1))


class Block(nn.Module):
    """Bend, mix neighbours, bend, mix again, add: B F H W -> B F H W; begins as the identity."""

    def __init__(self, width: int, dropout: float = 0.0) -> None:
        """Two convolutions of three by three."""
        super().__init__()
        self.first = Convolution(width, width, 3)
        self.second = Convolution(width, width, 3, zero=True)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the block's correction."""
        inner = nn.functional.silu(self.first(nn.functional.silu(x)))
        corrected: Tensor = x + self.second(self.dropout(inner))
        return corrected


class Encoder(nn.Module):
    """Bottom up: float B C H W -> features of each grid, finest first, and one vector B F."""

    def __init__(self, form: Form, plan: Plan) -> None:
        """Build one stage for each scale."""
        super().__init__()
        self.patch = plan.patch
        self.enter = Convolution(form.shape[2] * plan.patch**2, plan.widths[0], 3)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width, plan.dropout) for _ in range(depth)))
            for width, depth in zip(plan.widths, plan.depth, strict=True)
        )
        self.downs = nn.ModuleList(
            Convolution(fine, coarse, 2, stride=2) for fine, coarse in zip(plan.widths, plan.widths[1:], strict=False)
        )
        height, width = grid_of(form, plan, len(plan.widths) - 1)
        self.leave = nn.Linear(plan.widths[-1] * height * width, plan.whole)

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return (features of each grid B F H W, the vector B F)."""
        x = self.enter(nn.functional.pixel_unshuffle(pictures, self.patch))
        found = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            found.append(x)
            if number < len(self.downs):
                x = self.downs[number](x)
        return found, nn.functional.silu(self.leave(x.flatten(1)))


class Rung(nn.Module):
    """One latent grid: what is above it gives its prior, what it says is added to that."""

    def __init__(self, width: int, latent: int, attributes: int, *, learns: bool) -> None:
        """Build prior, what the latent adds, and where it `learns` the posterior, which sees `width` features more."""
        super().__init__()
        self.told = nn.Linear(attributes, width)
        self.body = Block(width)
        self.prior = Convolution(width, 2 * latent, 1, zero=True)
        self.posterior = (
            nn.Sequential(Convolution(2 * width, width, 3), nn.SiLU(), Convolution(width, 2 * latent, 1))
            if learns
            else None
        )
        self.say = Convolution(latent, width, 1)
        self.after = Block(width)
        nn.init.zeros_(self.told.weight)

    def forward(
        self, x: Tensor, attributes: Tensor, seen: Tensor | None, noise: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Return (features B F H W, divergence of the posterior from the prior in nats B; 0 where nothing is seen)."""
        x = self.body(x + self.told(attributes)[:, :, None, None])
        differences = None if seen is None or self.posterior is None else self.posterior(torch.cat([x, seen], dim=1))
        z, divergence = latent_of(self.prior(x), differences, noise, temperature)
        return self.after(x + self.say(z.to(x.dtype))), divergence


class Decoder(nn.Module):
    """Top down: attributes, and in training what the encoder saw -> a mixture for every pixel.

    Args:
        form: of the pictures.
        plan: the architecture.
        learns: with the posteriors; without them it can only draw, and is all that is saved.

    """

    offset: Tensor

    def __init__(self, form: Form, plan: Plan, *, learns: bool) -> None:
        """Build one rung for each latent grid, from the coarsest on."""
        super().__init__()
        self.form, self.plan = form, plan
        coarsest, whole = plan.widths[-1], plan.whole
        self.attributes = AttributeInput(form.sizes, form.ranks, coarsest)
        self.top_prior = nn.Sequential(nn.Linear(coarsest, whole), nn.SiLU(), nn.Linear(whole, 2 * plan.top))
        self.top_posterior = (
            nn.Sequential(nn.Linear(coarsest + whole, whole), nn.SiLU(), nn.Linear(whole, 2 * plan.top))
            if learns
            else None
        )
        self.grids = [grid_of(form, plan, scale) for scale in range(len(plan.widths))]
        height, width = self.grids[-1]
        self.unfold = nn.Sequential(
            nn.Linear(plan.top + coarsest, whole),
            nn.SiLU(),
            nn.Linear(whole, whole),
            nn.SiLU(),
            nn.Linear(whole, coarsest * height * width),
        )
        scales = range(len(plan.widths) - 1, -1, -1)
        self.scales = [scale for scale in scales for _ in range(plan.depth[scale])]
        self.rungs = nn.ModuleList(
            Rung(plan.widths[scale], plan.latent, coarsest, learns=learns) for scale in self.scales
        )
        self.ups = nn.ModuleDict(
            {str(scale): Convolution(plan.widths[scale + 1], 4 * plan.widths[scale], 1) for scale in scales[1:]}
        )
        self.leave = Convolution(
            plan.widths[0], num_parameters(form.shape[2], plan.components) * plan.patch**2, 3, zero=True
        )
        spread = torch.linspace(-1, 1, plan.components) if plan.components > 1 else torch.zeros(1)
        self.register_buffer("offset", spread.expand(form.shape[2], -1).clone())

    def forward(
        self,
        tokens: Tensor,
        seen: tuple[Sequence[Tensor], Tensor] | None,
        generator: torch.Generator,
        temperature: float = 1.0,
    ) -> tuple[Mixture, list[Tensor]]:
        """Return (mixture of the pictures without padding, divergences of all latents in nats, each B).

        Args:
            tokens: int64 B T.
            seen: what the encoder returned, or None to draw all latents from their priors.
            generator: of the noise, on the device.
            temperature: factor on the priors' standard deviations on the grids, where they are drawn from.

        """
        told = nn.functional.silu(self.attributes(tokens))
        rows = len(tokens)
        noise = _noise((rows, self.plan.top), generator, tokens.device)
        difference = None
        if seen is not None:
            assert self.top_posterior is not None, "this decoder can only draw"
            difference = self.top_posterior(torch.cat([told, seen[1]], dim=1))
        z, divergence = latent_of(self.top_prior(told), difference, noise, 1.0)
        divergences = [divergence]
        height, width = self.grids[-1]
        x = self.unfold(torch.cat([z.to(told.dtype), told], dim=1)).view(rows, -1, height, width)
        scale = len(self.plan.widths) - 1
        for rung, at in zip(self.rungs, self.scales, strict=True):
            if at != scale:
                x, scale = nn.functional.pixel_shuffle(self.ups[str(at)](x), 2), at
            noise = _noise((rows, self.plan.latent, *self.grids[at]), generator, tokens.device)
            x, divergence = rung(x, told, None if seen is None else seen[0][at], noise, temperature)
            divergences.append(divergence)
        parameters = nn.functional.pixel_shuffle(self.leave(nn.functional.silu(x)).float(), self.plan.patch)
        channels = self.form.shape[2]
        parameters = cropped(parameters, *self.form.shape[:2])
        mixture = mixture_of(parameters, channels, self.plan.components, self.form.levels, offset=self.offset)
        return mixture, divergences


def latent_of(prior: Tensor, difference: Tensor | None, noise: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (z, divergence in nats B).

    Args:
        prior: mean and raw log-variance, B 2Z ....
        difference: of the posterior from the prior, likewise, in units of the prior's scale; None draws from the prior.
        noise: standard normal, B Z ....
        temperature: factor on the prior's standard deviation where z is drawn from it.

    """
    mean, raw = prior.float().chunk(2, dim=1)
    log_variance = PRIOR_LOG_VARIANCE * torch.tanh(raw / PRIOR_LOG_VARIANCE)
    scale = torch.exp(log_variance / 2)
    if difference is None:
        return mean + scale * noise * temperature, torch.zeros(len(mean), device=mean.device)
    shift, raw = difference.float().chunk(2, dim=1)
    narrow = WIDER - (NARROWER + WIDER) * torch.sigmoid(raw - 1.0)
    z = mean + scale * (shift + torch.exp(narrow / 2) * noise)
    nats = (shift**2 + torch.exp(narrow) - narrow - 1) / 2  # Kingma and Welling 2014, appendix B, in the prior's units
    return z, nats.flatten(1).sum(1)


def grid_of(form: Form, plan: Plan, scale: int) -> tuple[int, int]:
    """Return height and width of the latent grid at `scale`, 0 the finest."""
    left, right, above, below = margins(form.shape[0], form.shape[1], plan.multiple)
    step = plan.patch * 2**scale
    return (form.shape[0] + above + below) // step, (form.shape[1] + left + right) // step


def fitted_to(pictures: Tensor, plan: Plan) -> Tensor:
    """Return float B C H W padded as the encoder takes it."""
    return padded(pictures, plan.multiple)


def _noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    return torch.randn(shape, generator=generator, device=device)


def begin_at(decoder: Decoder, images: np.ndarray) -> None:
    """Let the means of the components begin at quantiles of the pixels of `images`, uint8 or uint16 N H W C."""
    components = decoder.plan.components
    channels = images.reshape(-1, images.shape[-1]).astype(np.float32) * (2 / (decoder.form.levels - 1)) - 1
    places = (np.arange(components) + 0.5) / components
    starts = np.quantile(channels, places, axis=0).T + np.linspace(-0.05, 0.05, components)  # equal ones come apart
    decoder.offset.copy_(torch.from_numpy(starts.astype(np.float32)))
