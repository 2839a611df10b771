"""`understudy verify`: what a recipient runs on a release; offline, without Prefect and torch."""

from flows.errors import Exit
from flows.judging import say_json
from flows.progress import narrator
from releases.verify import verify


def verify_command(release: str, *, as_json: bool) -> Exit:
    """Check the release and say what was found.

    Raises:
        UserError: it is not a release at all.

    """
    found = verify(release)
    code = Exit.OK if found.ok else Exit.REFUSED
    if as_json:
        checks = [{"name": check.name, "ok": check.ok, "words": check.words} for check in found.checks]
        say_json({"outcome": "VERIFIED" if found.ok else "CHANGED", "exit": int(code), "checks": checks})
        return code
    voice = narrator(quiet=False)
    width = max(len(check.name) for check in found.checks)
    for check in found.checks:
        voice.line("ok" if check.ok else "WRONG", f"{check.name:<{width}}  {check.words}")
    voice.line("verify", f"{'this is what was published' if found.ok else 'do not use it'}   {release}")
    return code
