"""The state of a fit in one safetensors file: tensors by name, the rest as JSON in its header.

One file is renamed into place at once, so a kill leaves the checkpoint before or the checkpoint after. No pickle.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer

from generators.training.tensor_file import save_tensors
from sources.files import complete_or_absent

FILE = "checkpoint.safetensors"
FORMAT = "understudy-checkpoint-1"

log = logging.getLogger(__name__)


def write(run_dir: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, Any], *, identity: str) -> None:
    """Write the checkpoint of the fit called `identity`, in place of an older one.

    Args:
        run_dir: folder of the fit.
        tensors: by name; copied where they share memory.
        progress: JSON values, exact floats included.
        identity: what must be equal for the fit to go on: data, configuration, seed.

    """
    for left in run_dir.glob(f".{FILE}.*.tmp"):  # of a process that was killed while writing
        left.unlink(missing_ok=True)
    header = {"format": FORMAT, "identity": identity, "progress": json.dumps(progress)}
    with complete_or_absent(run_dir / FILE) as temporary:
        save_tensors(tensors, temporary, header)


def read(run_dir: Path, *, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return (tensors on the CPU, progress), or None where there is no checkpoint of the fit called `identity`."""
    path = run_dir / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT or header.get("identity") != identity:
                log.info("%s belongs to another fit; starting afresh", path)
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, json.loads(header["progress"])  # noqa: SIM118
    except SafetensorError:
        log.warning("%s is not readable; starting afresh", path)
        return None


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimiser's state as `<parameter number>.<name>`, not copied."""
    state: dict[str, Tensor] = {}
    for number, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            assert isinstance(value, Tensor), f"optimiser state {name} is no tensor; checkpoints hold tensors alone"
            state[f"{number}.{name}"] = value
    return state


def load_optimizer_state(optimizer: Optimizer, state: Mapping[str, Tensor]) -> None:
    """Take over a state that `optimizer_state` returned (copied), in the memory formats of the parameters.

    Files hold tensors in one format; a fused optimiser walks through parameter and state as they lie in memory.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    nested: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        number, name = key.split(".", 1)
        like = parameters[int(number)]
        one = torch.empty_like(like, dtype=value.dtype).copy_(value) if value.shape == like.shape else value.clone()
        nested.setdefault(int(number), {})[name] = one
    optimizer.load_state_dict({"state": nested, "param_groups": optimizer.state_dict()["param_groups"]})


def network_state(network: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name, not copied."""
    return {name: tensor.detach() for name, tensor in network.state_dict().items()}


@torch.no_grad()
def load_network_state(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Take over a state that `network_state` returned (copied into the tensors that are there)."""
    network.load_state_dict(dict(state))


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix/`, without it."""
    return {
        name.removeprefix(prefix + "/"): tensor for name, tensor in tensors.items() if name.startswith(prefix + "/")
    }


def named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with `prefix/` put before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
