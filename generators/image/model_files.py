"""The folder of a saved model of pictures: weights as safetensors, everything else as JSON.

model.json            family, configuration, schema, form of the pictures, what else the family needs
weights.safetensors   of the painter
attributes/           the tabular model of the attributes, where there are any
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from generators.base import GeneratorInputError
from generators.image.attributes import Attributes
from generators.tabular import autoregressive
from generators.training.tensor_file import save_tensors
from sources import schema_json
from sources.files import complete_or_absent, write_json
from sources.schema import Schema

FORMAT = "understudy-image-model-1"
ATTRIBUTES = "attributes"


@dataclass(frozen=True, kw_only=True)
class Saved:
    """What such a folder holds.

    Args:
        family: name in the registry.
        config: fields of the family's configuration.
        schema: of the whole table.
        shape: H, W, C of the pictures.
        levels: of a pixel.
        attributes: their model.
        tensors: of the painter, on the CPU.
        painter: JSON values of the painter.

    """

    family: str
    config: Mapping[str, Any]
    schema: Schema
    shape: tuple[int, int, int]
    levels: int
    attributes: Attributes
    tensors: Mapping[str, Tensor]
    painter: Mapping[str, Any]


def save_model(path: Path, saved: Saved) -> None:
    """Write a model into the folder `path`; `model.json` comes last, so its presence means complete."""
    path.mkdir(parents=True, exist_ok=True)
    if saved.attributes.model is not None:
        saved.attributes.model.save(path / ATTRIBUTES)
    with complete_or_absent(path / "weights.safetensors") as temporary:
        save_tensors(saved.tensors, temporary)
    state = {
        "format": FORMAT,
        "family": saved.family,
        "config": dict(saved.config),
        "schema": schema_json.to_json(saved.schema),
        "shape": list(saved.shape),
        "levels": saved.levels,
        "attributes": saved.attributes.model is not None,
        "painter": dict(saved.painter),
    }
    write_json(path / "model.json", state)


def load_model(path: Path, *, family: str, device: str | None) -> Saved:
    """Return what `save_model` wrote into the folder `path`, the attributes' model for `device`.

    Raises:
        GeneratorInputError: there is no readable model of this family.

    """
    try:
        state = json.loads((path / "model.json").read_text(encoding="utf-8"))
        tensors = load_file(path / "weights.safetensors") if state.get("format") == FORMAT else {}
    except FileNotFoundError as error:
        raise GeneratorInputError(f"{path}: no saved model", remedy="give the folder that save wrote") from error
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise GeneratorInputError(f"{path}: the saved model is not readable", remedy="fit and save it again") from error
    if state.get("format") != FORMAT or state.get("family") != family:
        raise GeneratorInputError(
            f"{path}: not a model of {family} in this version's format",
            seen=f"{state.get('family')}, {state.get('format')}",
            remedy="load it with the family and version that wrote it",
        )
    try:
        height, width, channels = state["shape"]
        model = autoregressive.load(path / ATTRIBUTES, device=device) if state["attributes"] else None
        return Saved(
            family=family,
            config=state["config"],
            schema=schema_json.from_json(state["schema"]),
            shape=(height, width, channels),
            levels=state["levels"],
            attributes=Attributes(model),
            tensors=tensors,
            painter=state["painter"],
        )
    except (KeyError, TypeError) as error:
        raise GeneratorInputError(
            f"{path}: the saved model lacks a part that this version writes",
            seen=str(error),
            remedy="fit and save it again",
        ) from error


def fields_of(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration as JSON values."""
    return asdict(config)
