"""Before a flow begins: spec and source opened and checked, and the last release looked back at.

`understudy run` and the deployed flow begin the same way: what the user must change shows here, before anything is
written and before Prefect is asked; and a run that would make the same again, or whose source has drifted where the
spec refuses that, ends here.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import pictures
from flows.drift import Drift
from flows.errors import Exit
from flows.holding import Trust, trust_of
from flows.last_release import LastRelease, look_back
from flows.leftovers import sweep
from flows.notices import Ending, check_notify, notify_of
from flows.opening import Opened, check_target, open_source, parts_of, targets_of
from flows.progress import Narrator
from flows.run_folder import RunFolder, folder_of, relative
from flows.runners import check_runner
from flows.spec import Spec
from flows.spec_file import load_spec
from flows.timing import timing
from releases.catalogue import note_unchanged
from sources.errors import UserError
from sources.files import write_json

DRIFT_FILE = "drift.json"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A run that can begin.

    Args:
        spec, place: the spec and how messages name its file.
        folder: the run's folders, of which none is made here.
        opened: the source.
        trust: who signs, and who asks.

    """

    spec: Spec
    place: str
    folder: RunFolder
    opened: Opened
    trust: Trust


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A run that ended before its flow.

    Args:
        outcome: UNCHANGED, or REFUSE because of drift.
        last: the last release.
        drift: how the source differs from its, or None.

    """

    outcome: str
    last: LastRelease
    drift: Drift | None = None

    @property
    def exit(self) -> Exit:
        """The exit code."""
        return Exit.OK if self.outcome == "UNCHANGED" else Exit.REFUSED

    @property
    def ending(self) -> Ending:
        """The word for notices and the name of Prefect's state."""
        return "unchanged" if self.outcome == "UNCHANGED" else "refused"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, as `--json` prints them."""
        plain = {"outcome": self.outcome, "exit": int(self.exit), "release": None, "version": self.last.version}
        if self.drift is None:
            return {**plain, "release": self.last.release, "report": f"{self.last.release}/report.html"}
        return {**plain, "reasons": [], "drift": self.drift.to_json()}


def prepare(spec_file: str, sets: list[str], out: Path, *, requested_by: str | None = None) -> Prepared:
    """Return what a run of the spec file needs, read and checked.

    Args:
        spec_file: path of the spec.
        sets: `key=value` that change it.
        out: the folder that takes runs/ and releases/.
        requested_by: who asks, where an approval is due; None is the account.

    Raises:
        UserError: the spec, the source, the environment or the output folder must be changed; nothing is left behind.

    """
    spec = load_spec(spec_file, sets)
    check_runner(spec.runner, place=spec_file)
    check_notify(spec.notify, place=spec_file)
    folder = folder_of(spec, out)
    trust = trust_of(spec, requested_by)
    with timing("read source"):
        opened = open_source(spec, place=spec_file)
    spec = pictures.settled(spec, opened.schema)
    check_target(opened.dataset, place=spec_file)
    targets_of(spec.rebalance, [opened.dataset], place=spec_file)
    parts_of(opened, seed=spec.seed)  # too few rows show before anything is written
    return Prepared(spec=spec, place=spec_file, folder=folder, opened=opened, trust=trust)


def settled(prepared: Prepared, voice: Narrator, *, force: bool) -> Settled | None:
    """Look back at the last release, say how the source has drifted, and return how the run ends if it ends here.

    What runs that died left lying about is removed first.

    Args:
        prepared: the run, whose folder is claimed.
        voice: where it speaks.
        force: make a release although nothing has changed.

    Raises:
        UserError: the record of the last release cannot be read.

    """
    spec, folder = prepared.spec, prepared.folder
    sweep(folder.root, folder.path, folder.releases / spec.name if isinstance(folder.releases, Path) else None)
    back = look_back(spec, prepared.opened, folder)
    drift_file = folder.path / DRIFT_FILE
    drift_file.unlink(missing_ok=True)
    if back.last is None:
        return None
    if back.unchanged:
        if force:
            return None
        note_unchanged(folder.releases, spec.name, datetime.now(UTC), back.last.version)
        voice.line("unchanged", f"source, spec and code are those of version {back.last.version}: nothing was made")
        voice.line("published", f"{_shown(back.last.release)}   {back.last.made}")
        return Settled(outcome="UNCHANGED", last=back.last)
    assert back.drift is not None
    write_json(drift_file, back.drift.to_json())
    for position, line in enumerate(back.drift.lines()):
        voice.line("drift" if position == 0 else "", line)
    if spec.drift == "refuse" and back.drift.refuses:
        voice.line("verdict", "REFUSE   the source has drifted, and the spec says drift: refuse")
        voice.line("", "nothing was published.")
        voice.line("evidence", relative(drift_file))
        voice.line("to try", "look at the source; where it is right, run once with --set drift=warn")
        return Settled(outcome="REFUSE", last=back.last, drift=back.drift)
    return None


def tell(spec: Spec, voice: Narrator, ending: Ending, **facts: Any) -> None:
    """Tell the spec's hook how the run ended; one that fails is said, and changes nothing."""
    failure = notify_of(spec.notify, ending, {"release": spec.name, **facts})
    if failure is not None:
        voice.line("notify", failure)


def tell_failure(spec_file: str, sets: list[str], voice: Narrator) -> None:
    """Tell the hook of a spec file, where it can be read and names one, that its run failed; no word of why."""
    try:
        spec = load_spec(spec_file, sets)
        check_notify(spec.notify, place=spec_file)
    except UserError:
        return  # who is to be told is not known
    tell(spec, voice, "failed")


def drift_of_run(folder: RunFolder) -> Drift | None:
    """Return the drift that this run found, if it compared at all."""
    path = folder.path / DRIFT_FILE
    return Drift.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None


def _shown(release: str) -> str:
    return release if "://" in release else relative(Path(release))
