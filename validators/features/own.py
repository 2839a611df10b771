"""A user's own extractor at work: pictures are turned into what it takes, and it into features, a few at a time.

How pictures are turned, in this order: to [0, 1] by the largest number of their depth; with opacity, laid over white;
grey for a network of colours three times the same, colours for one of grey by their luma (ITU-R BT.601); scaled to the
stated size, each side on its own, bilinear with antialiasing; then to the stated range, less mean, by deviation.

Legend: N rows, H height, W width, C channels, D features.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.jit._fuser import optimized_execution
from torch.nn import functional

from validators.errors import ValidatorInputError
from validators.features.extractor import Extractor
from validators.features.inception import inception
from validators.features.networks import one_thread
from validators.features.vision_transformer import vision_transformer
from validators.features.weight_files import PLACE, program_of, read_checked, tensors_of

LUMA = (0.299, 0.587, 0.114)
CHUNK_NUMBERS, MAX_CHUNK = 2**22, 256
"""Of a batch: numbers (27 pictures of 224 x 224 in colours) and pictures, so that memory is bounded."""

MAX_WORKERS = 8
MAX_FEATURES = 16_384
SAME = 1e-3
"""Largest difference of a picture's features in two batches, by their largest: kernels differ in the last digits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnNetwork:
    """A frozen network of a user, on the device where it computes.

    Args:
        extractor: what the policy says of it.
        run: float or uint8 N C H W -> features.
        device: a GPU where there is one.

    """

    extractor: Extractor
    run: Callable[[Tensor], Any]
    device: torch.device


def load(extractor: Extractor) -> OwnNetwork:
    """Return the network in the extractor's file.

    Raises:
        ValidatorInputError: the file is missing, another one by its SHA-256, or not of the stated kind.

    """
    data = read_checked(extractor)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run: Callable[[Tensor], Any]
    if extractor.kind == "torchscript":
        program: Any = program_of(data)
        program.to(device)

        def run(pictures: Tensor) -> Any:
            with optimized_execution(should_optimize=False):  # the optimiser changes the last digits midway
                return program(pictures, **extractor.arguments)
    else:
        weights = {name: one.to(device) for name, one in tensors_of(data).items()}
        assert extractor.size is not None
        if extractor.kind == "dino_vit":
            run = vision_transformer(weights, size=extractor.size, heads=extractor.heads)
        else:
            run = inception(weights, size=extractor.size, port=extractor.kind == "inception_fid")
    return OwnNetwork(extractor=extractor, run=run, device=device)


def check(network: OwnNetwork, shape: tuple[int, int, int], depth: type[np.unsignedinteger[Any]]) -> int:
    """Try the network on noise and return the number of its features.

    Args:
        network: to be tried.
        shape: H W C of the pictures it will see.
        depth: numpy's uint8 or uint16.

    Raises:
        ValidatorInputError: it fails, returns anything but one row of finite numbers for each picture, or others when
            it is asked again or about fewer pictures.

    """
    rng = np.random.Generator(np.random.PCG64(0))
    noise = rng.integers(0, np.iinfo(depth).max, size=(3, *shape), endpoint=True, dtype=depth)
    found, again, alone = embedded(network, noise), embedded(network, noise), embedded(network, noise[:1])
    if not np.isfinite(found).all():
        raise ValidatorInputError(f"{PLACE}: features that are not finite", remedy="look at pixels, mean and std")
    largest = max(float(np.abs(found).max()), 1e-12)
    if not np.array_equal(found, again):
        raise ValidatorInputError(
            f"{PLACE}: other features of the same pictures when asked again", remedy="export it in evaluation mode"
        )
    if float(np.abs(found[:1] - alone).max()) > SAME * largest:
        raise ValidatorInputError(
            f"{PLACE}: the features of a picture depend on the others in its batch",
            remedy="export it in evaluation mode",
        )
    return int(found.shape[1])


def embedded(network: OwnNetwork, images: np.ndarray) -> np.ndarray:
    """Return the features (float32 N D) of pictures (uint8 or uint16 N H W C, at least one).

    Raises:
        ValidatorInputError: the network fails on them, or does not return one row of numbers for each.

    """
    extractor = network.extractor
    height, width = images.shape[1:3]
    tall, wide = extractor.size or (height, width)
    most = CHUNK_NUMBERS // (max(3, images.shape[3]) * max(height * width, tall * wide))
    chunk = min(max(1, most), MAX_CHUNK)

    def features(first: int) -> np.ndarray:
        part = images[first : first + chunk]
        with torch.inference_mode():
            try:
                found = network.run(prepared(part, extractor).to(network.device))
            except (RuntimeError, TypeError, ValueError) as error:
                taken = " × ".join(map(str, (3 if extractor.channels != 1 else 1, tall, wide)))
                raise ValidatorInputError(
                    f"{PLACE}: the network fails on pictures of {taken} ({type(error).__name__})",
                    seen=_last_line(error),
                    remedy="state size, channels, pixels and arguments as it takes them",
                ) from None
            return _checked(found, len(part))

    # Threads over chunks, each computing with one: features then have the same bits on any number of cores.
    workers = 1 if network.device.type == "cuda" else min(MAX_WORKERS, len(os.sched_getaffinity(0)))
    with _exactly(), ThreadPoolExecutor(workers) as threads:
        return np.concatenate(list(threads.map(features, range(0, len(images), chunk))))


def prepared(images: np.ndarray, extractor: Extractor) -> Tensor:
    """Return pictures (uint8 or uint16 N H W C) as the network takes them (float32 or uint8 N C H W)."""
    values = torch.from_numpy(images.astype(np.float32) / np.float32(np.iinfo(images.dtype).max)).permute(0, 3, 1, 2)
    if values.shape[1] in (2, 4):
        opacity = values[:, -1:]
        values = values[:, :-1] * opacity + (1 - opacity)
    if extractor.channels == 1 and values.shape[1] > 1:
        values = (values * torch.tensor(LUMA).view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
    elif extractor.channels > values.shape[1]:
        values = values.expand(-1, extractor.channels, -1, -1)
    if extractor.size is not None and tuple(values.shape[2:]) != extractor.size:
        values = functional.interpolate(
            values, size=extractor.size, mode="bilinear", align_corners=False, antialias=True
        )
    if extractor.pixels == "uint8":
        return (values * 255).round().clamp(0, 255).to(torch.uint8)
    low, high = extractor.pixels
    values = values * (high - low) + low
    for figures, change in ((extractor.mean, torch.sub), (extractor.std, torch.div)):
        if figures:
            values = change(values, torch.tensor(figures).view(1, -1, 1, 1))
    return values.contiguous()


def _checked(found: Any, num: int) -> np.ndarray:
    """Return what a network returned for `num` pictures as float32 N D."""
    rows = isinstance(found, Tensor) and found.is_floating_point() and found.ndim >= 2 and found.shape[0] == num  # noqa: PLR2004
    if not rows or found[0].numel() != found.shape[1] or not 0 < found.shape[1] <= MAX_FEATURES:
        seen = f"{found.dtype} {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise ValidatorInputError(
            f"{PLACE}: not one row of features for each of {num} pictures",
            seen=seen,
            remedy=f"a network returns one tensor, pictures × at most {MAX_FEATURES:,} features",
        )
    return np.asarray(found.flatten(1).float().cpu().numpy())


@contextmanager
def _exactly() -> Iterator[None]:
    """Let one thread compute each number, and a GPU by repeatable kernels in full float32."""
    with one_thread(), torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False):
        yield


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else type(error).__name__
