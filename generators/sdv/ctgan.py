"""`sdv.ctgan`: SDV's conditional GAN (Xu et al. 2019, arXiv 1907.00503, section 4), a peer to compare with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generators.base import GeneratorInputError
from generators.sdv import network
from generators.sdv.network import Kind, Network

NAME = "sdv.ctgan"
SUMMARY = (
    "SDV's CTGAN: a conditional GAN over one-hot labels and mixture-normalised numbers; minutes to hours, a baseline"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: sdv.ctgan, epochs: 100}]`; the defaults are SDV's.

    Args:
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
        """Refuse numbers that mean nothing."""
        check_gan(self, NAME)


KIND = Kind(
    name=NAME, synthesizer="CTGANSynthesizer", config=Config, layers="generator_dim", gan=True, loss="Generator Loss"
)


def build(config: Config) -> Network:
    """Return a synthesizer that is not fitted."""
    return Network(KIND, config)


def load(path: Path) -> Network:
    """Return the fitted synthesizer that `save` wrote into the folder `path`."""
    return network.load(path, KIND)


def check_gan(config: Any, name: str) -> None:
    """Refuse options of a CTGAN that SDV's own code would stumble over.

    Raises:
        GeneratorInputError: which, and what to give instead.

    """
    network.check_options(config, name, not_negative=("generator_decay", "discriminator_decay"))
    if config.batch_size % 2 or config.batch_size % config.pac:
        raise GeneratorInputError(
            f"{name}: batch_size must be even and divisible by pac",
            seen=f"batch_size {config.batch_size}, pac {config.pac}",
            remedy="such as batch_size 500 and pac 10",
        )
