"""How pixels are drawn from their mixtures by `image.vae`: chosen by pictures that were held out.

The latents say what a picture shows, a mixture for each pixel says the rest (`generators.nn.logistics`). Where fine
texture is part of that rest, pixels that are drawn have as much of it as real ones and train classifiers better than
the mean of the likeliest component, but each by itself: to the eye it is snow. On smooth ground drawn ones are noise.
So each way draws for the attributes of the validation part, and the one with the smallest kernel distance to its
pictures (`gan_watch.Watch`) is kept.

# B batch, N pictures, M drawn ones, T tokens of a row's attributes, C channels, H height, W width
"""

from collections.abc import Callable

import torch
from torch import Tensor

from generators.image.gan_watch import FEWEST, Watch
from generators.image.painter import Pictures
from generators.image.pixels import Held
from generators.image.random_features import RandomFeatures
from generators.nn.logistics import Mixture
from sources.randomness import derive

WAYS = (None, 0.0, 0.5, 0.75, 1.0)  # None is the mean of the likeliest component, others draw the component
MOST_COMPARED = 1_000  # held-out pictures
MOST_KNOWN = 2_000  # pictures of training that features are whitened by
MOST_VALUES, LEAST = 2**23, 64  # values of the pictures that are compared, and pictures at least
PIECE = 100  # pictures drawn at a time; their features alone are kept


def pixels_of(mixture: Mixture, grain: float | None, generator: torch.Generator) -> Tensor:
    """Return pixels, float32 B C H W in [-1, 1].

    Args:
        mixture: of each pixel.
        grain: factor on the scale of the component that is drawn; None takes the mean of the likeliest one.
        generator: of the draws.

    """
    return mixture.likeliest_means() if grain is None else mixture.draw(generator, temperature=grain)


def chosen_grain(
    pictures: Pictures, images: Held, mixtures: Callable[[Tensor, torch.Generator], Mixture], *, seed: int
) -> float | None:
    """Return the one of `WAYS` whose pictures come nearest to those that were held out.

    Args:
        pictures: with their `held` part; where it has fewer than `FEWEST` rows nothing is compared.
        images: the same pictures on the device that computes.
        mixtures: (tokens int64 B T on that device, generator) -> mixtures drawn for them.
        seed: of latents, pixels and features.

    """
    held = torch.from_numpy(pictures.held).nonzero()[:MOST_COMPARED, 0]
    if len(held) < FEWEST:
        return None
    most = max(MOST_VALUES // pictures.form.num_values, LEAST)
    held = held[:most]
    known = torch.from_numpy(~pictures.held).nonzero()[: min(MOST_KNOWN, most), 0]
    device = images.at(held[:1]).device
    features = RandomFeatures(images.at(known), seed=derive(seed, "features"))
    watch = Watch(
        features=features,
        learnt=(features(images.at(known)), torch.from_numpy(pictures.tokens)[known].to(device)),
        held=(features(images.at(held)), torch.from_numpy(pictures.tokens)[held].to(device)),
        sizes=pictures.form.sizes,
        ranks=pictures.form.ranks,
    )
    latents, noise = torch.Generator(device=device), torch.Generator(device=device)
    latents.manual_seed(derive(seed, "latents"))
    drawn: dict[float | None, list[Tensor]] = {grain: [] for grain in WAYS}
    for piece in torch.split(watch.tokens, PIECE):
        mixture = mixtures(piece, latents)
        for grain in WAYS:
            noise.manual_seed(derive(seed, "pixels", len(drawn[grain])))
            drawn[grain].append(features(pixels_of(mixture, grain, noise)))
    distances = {grain: float(watch.distance_of(torch.cat(pieces))) for grain, pieces in drawn.items()}
    return min(distances, key=lambda grain: distances[grain])
