"""`understudy verify`: what a recipient runs on a release; offline, without Prefect and torch."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.errors import Exit
from flows.progress import narrator
from releases.checks import Verification, shown
from releases.keys import read_public_key
from releases.verify import verify

MOST_CHARS = 800
"""Of one check on a terminal, which hostile fields of a manifest may have gone into."""
WORDS = {
    "signed": "this is what the holders of these keys published",
    "unchecked": "unchanged since it was signed; by whom, only --key PUB can tell",
    "unsigned": "unchanged since it was written; without a signature nobody can tell by whom",
}


def verify_command(
    release: str, *, as_json: bool, keys: Sequence[str] = (), threshold: int | None = None, name: str | None = None
) -> Exit:
    """Check the release and say what was found.

    Raises:
        UserError: it is not a release at all, or a key is none.

    """
    public = [read_public_key(Path(path)) for path in keys]
    found = verify(release, keys=public, threshold=threshold, name=name)
    code = Exit.OK if found.ok else Exit.REFUSED
    if as_json:
        checks = [
            {"name": check.name, "ok": check.ok, "made": check.made, "words": check.words} for check in found.checks
        ]
        plain = {
            "outcome": "VERIFIED" if found.ok else "CHANGED",
            "exit": int(code),
            "release": {"name": found.name, "version": found.version},
            "trust": found.trust,
            "checks": checks,
        }
        sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=2) + "\n")
        return code
    say_checks(found)
    narrator(quiet=False).line("verify", f"{WORDS[found.trust] if found.ok else 'do not use it'}   {release}")
    return code


def say_checks(found: Verification) -> None:
    """Say every check, one a line."""
    voice = narrator(quiet=False)
    width = max(len(check.name) for check in found.checks)
    for check in found.checks:
        said = "WRONG" if not check.ok else "ok" if check.made else "NOT MADE"
        voice.line(said, f"{check.name:<{width}}  {shown(check.words, MOST_CHARS)}")
