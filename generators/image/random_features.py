"""Features of pictures by random convolutions, whitened: enough to compare two sets, learnt from nobody.

Untrained convolutions followed by a linear map tell classes apart far better than pixels do (Saxe et al. 2011, ICML),
and what they were made from cannot be learnt by heart.

# N pictures, B batch, C channels, H height, W width, R raw features, F features
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.training.streams import isolated_rng

WIDTHS = (16, 32, 32)  # of the convolutions
SMALLEST = 4  # side of a grid that is not halved any more
CELLS = 4  # rows and columns of places whose means are features
RAW = 256  # features before whitening
MOST = 64  # features
PIECE = 256  # pictures at a time
SMALL = 1e-3  # share of the largest variance that is added to all


class RandomFeatures:
    """Pictures to features, float32 B C H W -> B F.

    Args:
        pictures: to whiten by, N C H W, on the device.
        seed: of the convolutions.

    """

    def __init__(self, pictures: Tensor, *, seed: int) -> None:
        """Draw the convolutions, and find what makes features of `pictures` uncorrelated and of variance 1."""
        device = pictures.device
        with isolated_rng(seed, torch.device("cpu")):
            inputs, layers = pictures.shape[1], []
            for width in WIDTHS:
                layers.append(nn.Conv2d(inputs, width, 3, padding=1))
                nn.init.kaiming_normal_(layers[-1].weight, a=0.2)
                inputs = width
            count = pictures.shape[1] * (2 * CELLS) ** 2 + sum(WIDTHS) * CELLS**2
            project = torch.randn(count, RAW) / count**0.5
        self._layers = nn.ModuleList(layers).to(device).requires_grad_(requires_grad=False)
        self._project = project.to(device)
        self._mean, self._whiten = torch.zeros(RAW, device=device), torch.eye(RAW, device=device)
        raw = self(pictures)
        self._mean = raw.mean(0)
        centred = (raw - self._mean).cpu().double()
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(raw))
        count = max(1, min(MOST, len(pictures) // 4))
        scale = (variances[-count:] + SMALL * float(variances[-1]) + 1e-12) ** -0.5
        self._whiten = (directions[:, -count:] * scale).float().to(device)

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> Tensor:
        """Return features, float32 B F."""
        with torch.autocast(pictures.device.type, enabled=False):
            raw = torch.cat([self._raw(piece) for piece in torch.split(pictures.float(), PIECE)])
            return (raw - self._mean) @ self._whiten

    def _raw(self, pictures: Tensor) -> Tensor:
        x = pictures.contiguous(memory_format=torch.channels_last)
        seen = [functional.adaptive_avg_pool2d(x, 2 * CELLS).flatten(1)]
        for number, layer in enumerate(self._layers):
            if number and min(x.shape[2:]) >= 2 * SMALLEST:
                x = functional.avg_pool2d(x, 2)
            x = functional.leaky_relu(layer(x), 0.2)
            seen.append(functional.adaptive_avg_pool2d(x, CELLS).flatten(1))
        raw: Tensor = torch.cat(seen, dim=1) @ self._project
        return raw
