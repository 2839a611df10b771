"""Where a release comes from: who made the rows, from what, with which seed and budget, under which code.

The flow fills these in and hands them to `releases.publish` and `releases.report`; nothing here looks at rows.
What the public may read of them is decided in `releases.manifest` and `releases.card`, not here.
"""

import importlib.metadata
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

CORE_DISTRIBUTIONS = (
    "great-expectations",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "sdv",
    "statsmodels",
    "torch",
)
"""The libraries that can change a number in a release; versions of these go into its manifest."""

GENERAL_WARNINGS = (
    "Looking up a person: no row describes anybody, and a row that looks like somebody is a coincidence.",
    "Decisions about single people: check every finding that matters against the real data first.",
    "Rare groups and extremes: what only a handful of real rows show is learnt badly or not at all.",
    "Joining with other data in order to find out who was in the source.",
)
"""What no synthetic table should be used for; a spec adds its own."""


@dataclass(frozen=True, kw_only=True)
class FittedModel:
    """How the synthesizer that made the rows was fitted; the fields of `generators.base.FitReport` and its config.

    Args:
        family: the name in the registry of synthesizers.
        config: the fields of the family's config, defaults included.
        steps: optimiser steps taken; stopped_by: `steps`, `early_stopping`, `time` or `closed_form`.
        seconds: wall clock of the fit.
        parameters: trainable numbers.
        device, precision: such as `cpu` and `float32`.
        threads: of the CPU while it was fitted; another number sums in another order, hence ends with other bytes.
        best: the best validation loss in `loss_unit`, or None. Private.
        history: rows of plain numbers (`step`, `train_loss`, `validation_loss`, ...). Private.
        notes: sentences for a person.

    """

    family: str
    config: Mapping[str, Any]
    steps: int
    stopped_by: str
    seconds: float
    parameters: int
    device: str
    precision: str
    threads: int
    best: float | None = None
    loss_unit: str = "nats per row"
    history: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One row of the private table of all candidates that were fitted and judged.

    Args:
        name: the family, or the family with what distinguishes it.
        outcome: the verdict on its rows (`PASS`, `REFUSE`, `INCONCLUSIVE`, `INVALID`), or `FAILED` when it never
            came to a judgement.
        words: why, in a few words.
        seconds: wall clock of its fit, or None.
        chosen: whether its rows are the ones released (or, after a refusal, the ones this report is about).

    """

    name: str
    outcome: str
    words: str = ""
    seconds: float | None = None
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The story of one run, as far as manifest, card and report tell it.

    Args:
        name: the name of the release: letters, digits, dot, dash and underscore.
        spec: the spec as it ran, defaults filled in, plain JSON values; locations and credentials may still be in
            it, the manifest removes them.
        seed: the seed of the run.
        model: the fitted synthesizer.
        budget_seconds, budget_steps: the limits as given, or None.
        split_rows: part -> rows, such as `{"train": 4138, "holdout": 1273, "reference": 955}`.
        source_fingerprint: `sources.fingerprint.fingerprint` of the source, or None when unknown. Never published.
        lineage_key: a secret of at least 16 bytes; with it the manifest binds the source by an HMAC of the
            fingerprint. None publishes no binding.
        title: a few words for the head of card and report; the name when empty.
        description: what the data stands in for, a sentence or more.
        license: an SPDX identifier, or `other`.
        not_for: sentences that the spec adds to `GENERAL_WARNINGS`.
        candidates: every candidate of the run, in the order of the spec. Private.
        gate_calls: judgements of other rows on the same source, these included; None where nobody counted.

    """

    name: str
    spec: Mapping[str, Any]
    seed: int
    model: FittedModel
    budget_seconds: float | None = None
    budget_steps: int | None = None
    split_rows: Mapping[str, int] = field(default_factory=dict)
    source_fingerprint: str | None = None
    lineage_key: bytes | None = None
    title: str = ""
    description: str = ""
    license: str = "other"
    not_for: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    gate_calls: int | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the data must not be used for: the spec's sentences, then the general ones."""
        return (*self.not_for, *GENERAL_WARNINGS)


@cache
def code_version() -> dict[str, str | None]:
    """Return `{"understudy": version, "revision": git commit or None}` of the code that runs."""
    return {"understudy": _version_of("understudy"), "revision": _revision(Path(__file__).resolve().parent.parent)}


@cache
def dependency_versions() -> dict[str, str]:
    """Return distribution -> version of the core libraries that are installed, without importing any."""
    versions = {name: _version_of(name) for name in CORE_DISTRIBUTIONS}
    return {name: version for name, version in versions.items() if version is not None}


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _revision(root: Path) -> str | None:
    """Return the commit checked out at `root`, `+changes` appended when the tree differs, None outside git."""
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None  # no git on this machine, or no commit yet: the version number has to do
    return commit + ("+changes" if changes else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "--no-optional-locks", "-C", str(root), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=10,
    )
    return done.stdout.strip()
