"""Rows drawn with little memory are the rows drawn with much."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from generators.base import Budget, ignore_step
from generators.tabular import masked
from generators.tabular.autoregressive import Autoregressive, Config
from sources.conform import conform
from sources.inference import infer_schema


def test_a_piece_of_rows_that_memory_does_not_suffice_for_is_drawn_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"a": rng.integers(0, 30, 300).astype(str), "b": rng.choice(["x", "y"], 300)})
    dataset = conform(frame, infer_schema(frame))
    config = Config(width=16, hidden=16, depth=1, fall_back=False, device="cpu", precision="float32")
    model = Autoregressive(config)
    model.fit(dataset, seed=1, budget=Budget(steps=3), run_dir=tmp_path, on_step=ignore_step)
    whole = model.sample(100, seed=2).frame
    fill, sizes = masked.Painter.fill, []

    def small(self: masked.Painter, tokens: torch.Tensor, *rest: Any) -> torch.Tensor:
        sizes.append(len(tokens))
        if len(tokens) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return fill(self, tokens, *rest)

    monkeypatch.setattr(masked.Painter, "fill", small)
    pd.testing.assert_frame_equal(model.sample(100, seed=2).frame, whole)
    assert max(size for size in sizes if size <= 40) > 20
    monkeypatch.setattr(masked.Painter, "fill", lambda *_: (_ for _ in ()).throw(RuntimeError("another error")))
    with pytest.raises(RuntimeError, match="another error"):
        model.sample(5, seed=2)
