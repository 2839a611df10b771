"""The one place that decides where tensors live and in which precision networks run.

bfloat16 autocast is used on GPUs that have it and on CPUs with bfloat16 instructions (AVX-512 or AMX), where a
matrix product is about four times as fast as in float32; elsewhere it would be slower, so it stays off.
"""

import platform
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from generators.base import GeneratorInputError

FLOAT32 = "float32"
BFLOAT16 = "bfloat16 autocast"
AUTO_GPU: ContextVar[int | None] = ContextVar("auto_gpu", default=None)
"""The GPU that `auto` and `cuda` mean while whoever shares out GPUs has given one to this work."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where a model runs.

    Args:
        name: as torch writes it, `cpu` or `cuda:0`.
        precision: `float32` or `bfloat16 autocast`; both names go into the manifest.

    """

    name: str
    precision: str

    @property
    def torch(self) -> torch.device:
        """The same as a torch object."""
        return torch.device(self.name)

    @property
    def is_gpu(self) -> bool:
        """Whether this is not the CPU."""
        return self.torch.type != "cpu"

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which forward passes run."""
        return torch.autocast(self.torch.type, dtype=torch.bfloat16, enabled=self.precision == BFLOAT16)


def resolve(device: str = "auto", *, precision: str = "auto") -> Device:
    """Return the device for `auto`, `cpu`, `cuda` or `cuda:1`, with its precision.

    Args:
        device: `auto` takes the GPU in `AUTO_GPU`, else the first one, or the CPU where there is none.
        precision: `auto`, `float32` or `bfloat16 autocast`.

    Raises:
        GeneratorInputError: the device is not here, or a word is unknown.

    """
    if precision not in ("auto", FLOAT32, BFLOAT16):
        raise GeneratorInputError("precision: unknown", seen=precision, remedy=f"choose auto, {FLOAT32} or {BFLOAT16}")
    has_gpu = torch.cuda.is_available()
    kind, _, index = ("cuda" if has_gpu else "cpu").partition(":") if device == "auto" else device.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise GeneratorInputError("device: unknown", seen=device, remedy="choose auto, cpu, cuda or cuda:<number>")
    if kind == "cpu":
        name, fast = "cpu", cpu_has_bfloat16()
    else:
        number = int(index or AUTO_GPU.get() or 0)
        if not has_gpu or number >= torch.cuda.device_count():
            raise GeneratorInputError("device: no such GPU here", seen=device, remedy="choose cpu or auto")
        name, fast = f"cuda:{number}", torch.cuda.is_bf16_supported()
    if precision == "auto":
        precision = BFLOAT16 if fast else FLOAT32
    return Device(name=name, precision=precision)


def gpu_names() -> tuple[str, ...]:
    """Return a name for each GPU here that every process and container knows it by, in the order of their numbers."""
    if not torch.cuda.is_available():
        return ()
    properties = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return tuple(str(getattr(one, "uuid", f"gpu-{number}")) for number, one in enumerate(properties))


def num_threads() -> int:
    """Return the threads of the CPU that torch computes with; same bytes need the same number."""
    return torch.get_num_threads()


@cache
def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (x86: AVX-512 BF16 or AMX, as Linux lists them)."""
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not cpuinfo.exists():
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags
