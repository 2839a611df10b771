"""A fault in the pictures of one group is found, also where all pictures together hide it."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.image_groups import image_groups
from validators.evidence import Evidence
from validators.measurement import Status

EvidenceOf = Callable[..., Evidence]


def statuses(evidence: Evidence) -> dict[str, Status]:
    return {m.name: m.status for m in image_groups(evidence, stream(1, "judge"))}


def test_a_group_of_which_all_pictures_are_one_is_not_covered(
    picture_law: SimpleNamespace, pictures_of: EvidenceOf
) -> None:
    fresh = picture_law.draw(450, 12)
    images, of_group = fresh.media["scan"].copy(), (fresh.frame["group"] == "b").to_numpy()
    images[of_group] = images[np.flatnonzero(of_group)[0]]
    spoilt = Dataset(frame=fresh.frame, schema=fresh.schema, media={"scan": images})
    found = {m.name: m for m in image_groups(pictures_of(seed=1, synthetic=spoilt), stream(1, "judge"))}
    assert found["image_group_coverage"].status is Status.FAIL
    assert "group=b" in found["image_group_coverage"].reading


def test_pictures_that_do_not_show_their_group_are_refused(
    picture_law: SimpleNamespace, pictures_of: EvidenceOf
) -> None:
    fresh = picture_law.draw(450, 12)
    frame = fresh.frame.assign(group=fresh.frame["group"].to_numpy()[stream(1, "mix").permutation(450)])
    mixed = Dataset(frame=frame, schema=fresh.schema, media=fresh.media)
    found = {m.name: m for m in image_groups(pictures_of(seed=1, synthetic=mixed), stream(1, "judge"))}
    assert found["image_group_agreement"].status is Status.FAIL
    assert "group in group=" in found["image_group_agreement"].reading


def test_fresh_pictures_pass_and_without_protected_columns_nothing_is_measured(pictures_of: EvidenceOf) -> None:
    evidence = pictures_of(seed=1)
    assert set(statuses(evidence).values()) == {Status.PASS}
    plain = replace(evidence.schema, columns=tuple(replace(c, role="plain") for c in evidence.schema.columns))
    assert statuses(replace(evidence, schema=plain)) == {}
