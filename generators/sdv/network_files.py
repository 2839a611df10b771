"""The folder of a saved SDV network: arrays as safetensors, everything else as JSON.

model.json          family, configuration, schema, codes, what was learnt of single columns
model.safetensors   the network's weights, and how often each label is asked for
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from generators.base import GeneratorInputError
from generators.sdv.learnt import Learnt
from generators.sdv.unit_interval import Code
from sources import schema_json
from sources.files import write_bytes, write_json
from sources.schema import Schema

FORMAT = "understudy-sdv-network-1"


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model in full.

    Args:
        schema: of the training data.
        codes: one a column.
        learnt: by SDV; None where every column is constant, an id or missing.

    """

    schema: Schema
    codes: tuple[Code, ...]
    learnt: Learnt | None


def write_model(path: Path, fitted: Fitted, *, family: str, config: Any) -> None:
    """Write a model into the folder `path`; `model.json` comes last, so its presence means complete.

    Args:
        path: folder, created when absent.
        fitted: what to write.
        family: name in the registry.
        config: the family's dataclass.

    """
    learnt = fitted.learnt
    write_bytes(path / "model.safetensors", save({} if learnt is None else dict(learnt.tensors)))
    state = {
        "format": FORMAT,
        "family": family,
        "config": asdict(config),
        "schema": schema_json.to_json(fitted.schema),
        "codes": [asdict(code) for code in fitted.codes],
        "learnt": None
        if learnt is None
        else {"gan": learnt.gan, "settings": dict(learnt.settings), "columns": list(learnt.columns)},
    }
    write_json(path / "model.json", state)


def read_model(path: Path, *, family: str) -> tuple[dict[str, Any], Fitted]:
    """Return (configuration's fields, model) of the folder `path`.

    Raises:
        GeneratorInputError: there is no readable model of this family.

    """
    try:
        state = json.loads((path / "model.json").read_text(encoding="utf-8"))
        tensors = load_file(path / "model.safetensors") if state.get("format") == FORMAT else {}
    except FileNotFoundError as error:
        raise GeneratorInputError(f"{path}: no saved model", remedy="give the folder that `save` wrote") from error
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise GeneratorInputError(f"{path}: the saved model is not readable", remedy="fit and save it again") from error
    if state.get("format") != FORMAT or state.get("family") != family:
        raise GeneratorInputError(
            f"{path}: not a model of {family} in this version's format",
            seen=f"{state.get('family')}, {state.get('format')}",
            remedy="load it with the family and version that wrote it",
        )
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in state["config"].items()}
    learnt = None if state["learnt"] is None else Learnt(**state["learnt"], tensors=tensors)
    codes = tuple(Code.from_json(code) for code in state["codes"])
    return fields, Fitted(schema=schema_json.from_json(state["schema"]), codes=codes, learnt=learnt)
