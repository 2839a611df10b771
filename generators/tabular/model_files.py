"""The folder of a saved tabular model: weights as safetensors, everything else as JSON.

model.json          family, configuration, schema, codec, what else the family needs
weights.safetensors
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from generators.base import GeneratorInputError
from generators.tabular.codec import TableCodec
from generators.training.tensor_file import save_tensors
from sources import schema_json
from sources.files import complete_or_absent, write_json

FORMAT = "understudy-tabular-model-1"


def save_model(
    path: Path,
    *,
    family: str,
    config: Any,
    codec: TableCodec,
    weights: Mapping[str, Tensor],
    extra: Mapping[str, Any],
) -> None:
    """Write a model into the folder `path`; `model.json` comes last, so its presence means complete.

    Args:
        path: folder, created when absent.
        family: name in the registry.
        config: the family's dataclass.
        codec: with its schema.
        weights: tensors by name.
        extra: JSON values that the family needs to load.

    """
    path.mkdir(parents=True, exist_ok=True)
    with complete_or_absent(path / "weights.safetensors") as temporary:
        save_tensors(weights, temporary)
    state = {
        "format": FORMAT,
        "family": family,
        "config": asdict(config),
        "schema": schema_json.to_json(codec.schema),
        "codec": codec.to_json(),
        "extra": dict(extra),
    }
    write_json(path / "model.json", state)


def load_model(path: Path, *, family: str) -> tuple[dict[str, Any], TableCodec, dict[str, Tensor], dict[str, Any]]:
    """Return (configuration's fields, codec, weights on the CPU, extra) of the model in the folder `path`.

    Raises:
        GeneratorInputError: there is no readable model of this family.

    """
    try:
        state = json.loads((path / "model.json").read_text(encoding="utf-8"))
        weights = load_file(path / "weights.safetensors") if state.get("format") == FORMAT else {}
    except FileNotFoundError as error:
        raise GeneratorInputError(f"{path}: no saved model", remedy="give the folder that save wrote") from error
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise GeneratorInputError(f"{path}: the saved model is not readable", remedy="fit and save it again") from error
    if state.get("format") != FORMAT or state["family"] != family:
        raise GeneratorInputError(
            f"{path}: not a model of {family} in this version's format",
            seen=f"{state.get('family')}, {state.get('format')}",
            remedy="load it with the family and version that wrote it",
        )
    try:
        codec = TableCodec.from_json(state["codec"], schema_json.from_json(state["schema"]))
        return state["config"], codec, weights, state["extra"]
    except (KeyError, TypeError) as error:
        raise GeneratorInputError(
            f"{path}: the saved model lacks a part that this version writes",
            seen=str(error),
            remedy="fit and save it again",
        ) from error
