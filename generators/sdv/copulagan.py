"""`sdv.copulagan`: SDV's CTGAN over numbers that a parametric marginal has made normal; a peer to compare with."""

from dataclasses import dataclass
from pathlib import Path

from generators.sdv import network
from generators.sdv.ctgan import check_gan
from generators.sdv.gaussian_copula import Distribution, check_distribution
from generators.sdv.network import Kind, Network

NAME = "sdv.copulagan"
SUMMARY = "SDV's CopulaGAN: CTGAN after a parametric marginal has made each number normal; minutes to hours, a baseline"


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: sdv.copulagan, default_distribution: norm}]`.

    The defaults are SDV's.

    Args:
        default_distribution: the family of every number's marginal, as SDV names it: `beta`, `norm`, `truncnorm`,
            `gamma` or `uniform`.
        epochs: over the training rows where the budget does not end the fit earlier.
        batch_size: rows a step; even, and divisible by `pac`.
        embedding_dim: dimensions of the noise.
        generator_dim, discriminator_dim: hidden widths.
        generator_lr, discriminator_lr: learning rates.
        generator_decay, discriminator_decay: weight decays.
        discriminator_steps: of the discriminator for each of the generator.
        log_frequency: ask for labels by the logarithm of their counts, so that rare ones are learnt too.
        pac: rows that the discriminator judges together.
        min_support: rows that must hold a label before it can be sampled.
        memory_gib: of the encoded table at most; a table whose labels need more is refused.

    """

    default_distribution: Distribution = "beta"
    epochs: int = 300
    batch_size: int = 500
    embedding_dim: int = 128
    generator_dim: tuple[int, ...] = (256, 256)
    discriminator_dim: tuple[int, ...] = (256, 256)
    generator_lr: float = 2e-4
    discriminator_lr: float = 2e-4
    generator_decay: float = 1e-6
    discriminator_decay: float = 1e-6
    discriminator_steps: int = 1
    log_frequency: bool = True
    pac: int = 10
    min_support: int = 5
    memory_gib: float = 8.0

    def __post_init__(self) -> None:
        """Refuse words and numbers that mean nothing."""
        check_distribution(self.default_distribution, NAME)
        check_gan(self, NAME)


KIND = Kind(
    name=NAME,
    synthesizer="CopulaGANSynthesizer",
    config=Config,
    layers="generator_dim",
    gan=True,
    loss="Generator Loss",
)


def build(config: Config) -> Network:
    """Return a synthesizer that is not fitted."""
    return Network(KIND, config)


def load(path: Path) -> Network:
    """Return the fitted synthesizer that `save` wrote into the folder `path`."""
    return network.load(path, KIND)
