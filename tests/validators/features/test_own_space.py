"""The space of a user's own network: every picture is seen once, and distances mean what they mean in the network's."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import pdist
from torch import Tensor

from sources.dataset import Dataset
from sources.schema import Column, Schema
from tests.validators.features.own_files import Summary, program, written
from validators.evidence import Evidence
from validators.features.column import PictureColumn
from validators.features.extractor import read_extractor
from validators.features.making import features_of
from validators.features.own import OwnNetwork
from validators.features.own_space import NUM_FEATURES, OWN, OwnSpace
from validators.fidelity.image_rows import MAX_OWN_ROWS, picture_rows, space_names
from validators.policy import Policy

SCHEMA = Schema(columns=(Column(name="scan", kind="image", shape=(4, 4, 1), storage="uint8"),))
EXTRACTOR = read_extractor({"kind": "torchscript", "path": "-", "sha256": "0" * 64, "channels": 1})


def rows(n: int, seed: int) -> Dataset:
    pixels = np.random.Generator(np.random.PCG64(seed)).integers(0, 256, size=(n, 4, 4, 1), dtype=np.uint8)
    return Dataset(frame=pd.DataFrame({"scan": np.arange(n)}), schema=SCHEMA, media={"scan": pixels})


def network(num: int, seen: list[int]) -> OwnNetwork:
    mix = torch.randn(16, num, generator=torch.Generator().manual_seed(1)) + 5

    def run(pictures: Tensor) -> Tensor:
        seen.append(len(pictures))
        return torch.relu(pictures.flatten(1) @ mix) ** 2

    return OwnNetwork(extractor=EXTRACTOR, run=run, device=torch.device("cpu"))


@pytest.mark.parametrize("num", [16, 3000])
def test_features_are_few_centred_and_keep_distances(num: int) -> None:
    learnt, judged = rows(400, 1), rows(60, 2)
    whole = network(num, [])
    column = PictureColumn("scan", learnt, seed=3, own=whole)
    found = column.features_at(judged, OWN, np.arange(60))
    assert found.shape == (60, min(num, NUM_FEATURES))
    own = column.features_at(learnt, OWN, np.arange(400))
    assert np.abs(own.mean(axis=0)).max() < 1e-2
    assert own.var(axis=0).sum() / own.shape[1] == pytest.approx(1, abs=0.5)
    mapped = whole.run(torch.from_numpy(column.raw(judged).transpose(0, 3, 1, 2) / np.float32(255))).numpy()
    ratios = pdist(found) / pdist(mapped)
    assert ratios.std() / ratios.mean() < (1e-3 if num == 16 else 0.15)


def test_each_picture_is_seen_once() -> None:
    seen: list[int] = []
    space = OwnSpace(network(8, seen), rows(50, 1).media["scan"], seed=1)
    data = rows(30, 2)
    images = data.media["scan"]
    first = space.features(data, images, np.array([3, 1, 3]))
    assert sum(seen) == 50 + 2
    assert np.array_equal(first[0], first[2])
    again = space.features(data, images, np.array([1, 2, 3]))
    assert sum(seen) == 50 + 3
    assert np.array_equal(again[[0, 2]], first[[1, 0]])
    assert len(space.features(data, images, np.array([], dtype=np.int64))) == 0


def evidence(folder: Path, **sizes: int) -> Evidence:
    extractor: dict[str, Any] = written(folder, program(Summary(channels=3)), "torchscript")
    parts = {name: rows(size, place) for place, (name, size) in enumerate(sizes.items())}
    return Evidence(schema=SCHEMA, policy=Policy.from_spec({"extractor": extractor}), **parts)  # type: ignore[arg-type]


def test_own_features_join_the_spaces_and_see_the_same_rows_in_every_check(tmp_path: Path) -> None:
    there = evidence(tmp_path, train=2300, holdout=150, synthetic=2200, reference=40)
    features = features_of(there, seed=1)
    assert features is not None
    assert space_names(features)[-1] == "own features"
    assert OWN not in features.columns[0].extractors  # checks that ask for networks made here are not changed
    there = Evidence(**{**vars(there), "features": features})
    found = [picture_rows(there, np.random.Generator(np.random.PCG64(seed))) for seed in (1, 2)]
    assert [len(part) for part in found[0].own] == [MAX_OWN_ROWS, 150, MAX_OWN_ROWS]
    assert all(np.array_equal(one, other) for one, other in zip(found[0].own, found[1].own, strict=True))
    assert not np.array_equal(found[0].train, found[1].train)
    assert len(np.unique(found[0].own[0])) == MAX_OWN_ROWS


def test_without_an_extractor_there_is_no_such_space(tmp_path: Path) -> None:
    there = evidence(tmp_path, train=200, holdout=150, synthetic=200, reference=40)
    features = features_of(Evidence(**{**vars(there), "policy": Policy.preset("standard")}), seed=1)
    assert features is not None
    assert "own features" not in space_names(features)
