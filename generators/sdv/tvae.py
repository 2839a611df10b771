"""`sdv.tvae`: SDV's variational autoencoder (Xu et al. 2019, arXiv 1907.00503, section 4.5), a peer to compare with."""

from dataclasses import dataclass
from pathlib import Path

from generators.sdv import network
from generators.sdv.network import Kind, Network

NAME = "sdv.tvae"
SUMMARY = (
    "SDV's TVAE: a variational autoencoder over one-hot labels and mixture-normalised numbers; minutes, a baseline"
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set, as in `candidates: [{kind: sdv.tvae, epochs: 100}]`; the defaults are SDV's.

    Args:
        epochs: over the training rows where the budget does not end the fit earlier.
        batch_size: rows a step.
        embedding_dim: dimensions of the latent code.
        compress_dims, decompress_dims: hidden widths of encoder and decoder.
        l2scale: weight decay.
        loss_factor: weight of the reconstruction against the divergence.
        min_support: rows that must hold a label before it can be sampled.
        memory_gib: of the encoded table at most; a table whose labels need more is refused.

    """

    epochs: int = 300
    batch_size: int = 500
    embedding_dim: int = 128
    compress_dims: tuple[int, ...] = (128, 128)
    decompress_dims: tuple[int, ...] = (128, 128)
    l2scale: float = 1e-5
    loss_factor: float = 2.0
    min_support: int = 5
    memory_gib: float = 8.0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        network.check_options(self, NAME, not_negative=("l2scale",))


KIND = Kind(
    name=NAME,
    synthesizer="TVAESynthesizer",
    config=Config,
    layers="decompress_dims",
    gan=False,
    loss="Loss",
    notes=("TVAE samples the likeliest label of a row instead of drawing one: rarer labels and gaps may not appear",),
)


def build(config: Config) -> Network:
    """Return a synthesizer that is not fitted."""
    return Network(KIND, config)


def load(path: Path) -> Network:
    """Return the fitted synthesizer that `save` wrote into the folder `path`."""
    return network.load(path, KIND)
