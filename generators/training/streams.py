"""torch's randomness without its global state: what runs inside is seeded, what is outside notices nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def isolated_rng(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Seed torch's global generators with `seed` inside the block and put them back after it.

    Network construction and dropout know no other source of randomness. Everything else should draw from the
    generator that is yielded; it lives on `device` and is seeded likewise.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):  # torch seeds the current one
                torch.cuda.manual_seed(seed)
        generator = torch.Generator(device=device)
        generator.manual_seed(seed)
        yield generator
