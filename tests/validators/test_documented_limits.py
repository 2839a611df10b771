"""`docs/metrics.md` states the limits that the policy has, for every name and preset."""

import re
from pathlib import Path

from validators.limits.limit import Bound
from validators.limits.limits import LIMITS
from validators.policy import PRESETS, Policy

TEXT = Path("docs/metrics.md").read_text(encoding="utf-8")


def written(cell: str) -> Bound:
    ends = tuple(float(part) for part in cell.split(" to "))
    return (ends[0], ends[1]) if len(ends) > 1 else ends[0]


def test_the_table_of_presets_is_that_of_the_policy() -> None:
    header, *rows = [
        line.strip("| ").split(" | ") for line in TEXT.splitlines() if re.match(r"\| (`|measurement)", line)
    ]
    assert header == ["measurement", *PRESETS]
    table = {name.strip("`"): [written(cell) for cell in cells] for name, *cells in rows}
    assert table == {name: [Policy.preset(preset).limits[name] for preset in PRESETS] for name in LIMITS}


def test_every_section_names_the_standard_limit() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^#|\Z)", TEXT, flags=re.MULTILINE | re.DOTALL))
    assert set(sections) == set(LIMITS)
    for name, rule in LIMITS.items():
        text = sections[name].replace("−", "-")
        found = re.search(r"\*\*Limit\.\*\*\s+(-?[\d.]*\d(?: to -?[\d.]*\d)?)", text)
        assert found, name
        assert written(found[1]) == rule.bound, name


def test_the_errors_are_those_of_the_policy() -> None:
    policy = Policy.preset("standard")
    for knob in ("alarm", "checks", "doubt", "min_rows"):
        assert re.search(rf"`{knob}` \({getattr(policy, knob):g}\)", TEXT), knob


def test_limits_of_p_values_are_within_the_share_of_one_check_or_say_so() -> None:
    share = Policy.preset("standard").alarm_share()
    for name, rule in LIMITS.items():
        if rule.reason.startswith("A p-value, at the share"):
            assert isinstance(rule.bound, float)
            assert rule.bound <= share, name
