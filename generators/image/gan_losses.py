"""What the two networks of `image.gan` are trained on.

The relativistic pairing loss with zero-centred gradient penalties on real and on drawn pictures (Huang et al. 2024,
arXiv 2501.05441, equations 2 and 5):

    discriminator: softplus(D(drawn) - D(real)) + gamma / 2 (|grad D(real)|^2 + |grad D(drawn)|^2)
    generator:     softplus(D(real) - D(drawn))

Both of a pair have the same attributes. Two things make a step cheap, and neither changes what is minimised:

- Nothing normalises over a batch, so the score of a picture depends on this picture alone, and the slope of either loss
  at a drawn picture is the slope of its score times one number. The backward pass of the discriminator's loss therefore
  yields the generator's gradient as well, times -sigmoid(a) / sigmoid(-a) = -exp(a), a = D(real) - D(drawn).
- The penalties are means over pictures; a share of every fourth batch estimates them without bias. Steps between are
  made up for by their weight (lazy regularisation: Karras et al. 2020, arXiv 1912.04958, section 3.1).

# B batch, T tokens of a row's attributes, C channels, H height, W width
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.image.gan_augment import Augmentation
from generators.image.gan_networks import Discriminator, Generator
from generators.nn.attributes import hidden

PENALTY_EVERY = 4  # steps between penalties
FADED, FADE_STEPS = 0.1, 4_000  # gamma falls to a tenth, as in the paper, over these steps
MEASURE_EVERY = 4  # steps between looks at held-out pictures
MOST_ADVANTAGE = 40.0  # of a real picture's score in the exponent: what is above has lost its slope to rounding anyway

Batch = tuple[Tensor, Tensor, int]
"""Row numbers to learn from, int64 B; held-out ones to compare with, int64 (none at all: 0); the step."""
Pictures = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Row numbers, int64 B -> padded pictures in [-1, 1], float32 B C H W, and tokens, int64 B T."""


@dataclass
class _Drawn:
    """What the generator drew in this step, and where its gradient will be found.

    `pictures` belongs to the generator's graph, `leaf` to the discriminator's; `advantage` is D(real) - D(drawn), B.
    """

    pictures: Tensor
    leaf: Tensor
    advantage: Tensor


@dataclass
class Game:
    """The losses of both networks; the discriminator's phase comes first and leaves the generator its gradient.

    Args:
        g_net: the generator.
        d_net: the discriminator.
        augmentation: between pictures and discriminator.
        pictures: where they come from.
        sizes: number of tokens at each position, for hiding attributes.
        penalty: gamma at the beginning.
        penalised: share of every fourth batch that the penalties are estimated from.
        hide: share of a batch that sees no attributes.

    """

    g_net: Generator
    d_net: Discriminator
    augmentation: Augmentation
    pictures: Pictures
    sizes: Sequence[int]
    penalty: float
    penalised: float
    hide: float
    _drawn: _Drawn | None = field(default=None, repr=False)

    def discriminator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Draw as many pictures as there are real ones; return how badly they are told apart, and the penalties."""
        rows, check, step = batch
        real, tokens = self.pictures(rows)
        tokens = hidden(tokens, self.sizes, self.hide, generator)
        drawn = self.g_net(self.g_net.noise(len(rows), generator), tokens)
        leaf = drawn.detach().requires_grad_()
        shown = self.augmentation(torch.cat([real, leaf]), generator)
        real_scores, drawn_scores = self.d_net(shown, tokens.repeat(2, 1)).chunk(2)
        advantage = real_scores - drawn_scores
        self._drawn = _Drawn(drawn, leaf, advantage.detach())
        loss = functional.softplus(-advantage).mean()
        if self.penalty and step % PENALTY_EVERY == 0:
            count = max(1, round(len(rows) * self.penalised))
            some = torch.cat([shown[:count], shown[len(rows) : len(rows) + count]]).detach()
            slopes = squared_slopes(self.d_net, some, tokens[:count].repeat(2, 1))
            gamma = self.penalty * FADED ** min(step / FADE_STEPS, 1.0)
            loss = loss + PENALTY_EVERY * gamma * slopes.mean()  # half of the sum of both means: the mean of all
        if len(check) and step % MEASURE_EVERY == 0:
            with torch.no_grad():
                pictures, their_tokens = self.pictures(check)
                held_scores = self.d_net(self.augmentation(pictures, generator), their_tokens)
                self.augmentation.adapt(real_scores, held_scores, drawn_scores)
        return loss

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Return the generator's loss, whose gradient is made of what the discriminator's backward pass left."""
        drawn, self._drawn = self._drawn, None
        if drawn is None or len(drawn.leaf) != len(batch[0]):  # memory ran out, and the batch was halved since
            return self._generator_loss_anew(batch, generator)
        assert drawn.leaf.grad is not None, "the discriminator's phase comes first"
        factor = -drawn.advantage.clamp(max=MOST_ADVANTAGE).exp()
        slope = drawn.leaf.grad * factor[:, None, None, None]
        shown = functional.softplus(drawn.advantage).mean()
        along = (drawn.pictures * slope).sum()
        return shown + along - along.detach()

    def _generator_loss_anew(self, batch: Batch, generator: torch.Generator) -> Tensor:
        real, tokens = self.pictures(batch[0])
        drawn = self.g_net(self.g_net.noise(len(real), generator), tokens)
        fixed = {name: parameter.detach() for name, parameter in self.d_net.named_parameters()}
        shown = self.augmentation(torch.cat([real, drawn]), generator)
        scores: Tensor = torch.func.functional_call(self.d_net, fixed, (shown, tokens.repeat(2, 1)))
        real_scores, drawn_scores = scores.chunk(2)
        return functional.softplus(real_scores.detach() - drawn_scores).mean()


def squared_slopes(d_net: nn.Module, pictures: Tensor, tokens: Tensor) -> Tensor:
    """Return the squared norm of the discriminator's gradient at each picture, float32 B, itself differentiable."""
    at = pictures.clone().requires_grad_()
    (slope,) = torch.autograd.grad(d_net(at, tokens).sum(), at, create_graph=True)
    squared: Tensor = slope.float().square().flatten(1).sum(1)
    return squared
