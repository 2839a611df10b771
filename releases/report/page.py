"""The two renderers: the private report with real beside synthetic, and the public one without a source value.

The public page is made from coarse measurements and from `Pictures.public()` alone, so hygiene does not hang on the
template. One page, no script, no request: styles and pictures stand in it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from releases.provenance import GENERAL_WARNINGS, Provenance, code_version, dependency_versions
from releases.public import coarse, public_measurements
from releases.report import figures, words
from releases.report.drawing import curve
from releases.report.glossary import TERMS
from releases.report.view import Judged, blocks, glossary_lines, reason_lines, tiles, tone_of
from sources.schema import Schema
from validators.gate import Outcome, Verdict
from validators.measurement import Status
from validators.pictures import Pictures
from validators.report import Report

_STOPPED = {
    "steps": "its number of steps was reached",
    "early_stopping": "it no longer got better on rows kept aside",
    "time": "its time was up",
    "closed_form": "there was nothing to iterate",
}


def render_private(
    *,
    report: Report,
    verdict: Verdict,
    pictures: Pictures | None,
    schema: Schema,
    provenance: Provenance | None = None,
    title: str = "",
    version: str | None = None,
    created: datetime | None = None,
    gate_calls: int | None = None,
) -> str:
    """Return the private report as HTML; it shows real data and stays where the source is.

    Args:
        report: the judgement.
        verdict: what the gate decided on it.
        pictures: plain numbers for the plots, or None when there are none.
        schema: of the judged columns.
        provenance: the story of the run; None when data made elsewhere is judged.
        title: heading; the provenance's title or name when empty.
        version: of the release, or None when nothing was published.
        created: the moment of the judgement; now when None.
        gate_calls: judgements of these training rows so far, where data made elsewhere is judged.

    """
    page = _common(
        report,
        verdict,
        schema,
        provenance=provenance,
        title=title,
        version=version,
        created=created,
        measurements=report.measurements,
        private=True,
        gate_calls=gate_calls,
    )
    if pictures is not None:
        page |= figures.private_figures(pictures, schema)
    if provenance is not None:
        page["candidates"] = [
            {
                "name": one.name,
                "outcome": one.outcome,
                "tone": tone_of(one.outcome),
                "duration": "" if one.seconds is None else words.duration(one.seconds),
                "words": one.words,
                "chosen": one.chosen,
            }
            for one in provenance.candidates
        ]
        page |= _curve(provenance)
        page["notes"] = list(provenance.model.notes)
    return _render(page)


def render_public(
    *,
    report: Report,
    verdict: Verdict,
    pictures: Pictures | None,
    schema: Schema,
    provenance: Provenance | None = None,
    title: str = "",
    version: str | None = None,
    created: datetime | None = None,
) -> str:
    """Return the public report as HTML, without any value, count or extreme of the source; arguments as above."""
    measurements = public_measurements(report.measurements, schema.names)
    page = _common(
        report,
        verdict,
        schema,
        provenance=provenance,
        title=title,
        version=version,
        created=created,
        measurements=measurements,
        private=False,
    )
    if pictures is not None:
        page |= figures.public_figures(pictures.public(), schema)
    return _render(page)


def _common(
    report: Report,
    verdict: Verdict,
    schema: Schema,
    *,
    provenance: Provenance | None,
    title: str,
    version: str | None,
    created: datetime | None,
    measurements: Sequence[Judged],
    private: bool,
    gate_calls: int | None = None,
) -> dict[str, Any]:
    """Return what both pages show; whatever is exact comes in through `measurements`."""
    created = (created or datetime.now(UTC)).astimezone(UTC)
    heading = title or (provenance.title or provenance.name if provenance else "") or "Judged data"
    reasons, more = reason_lines(verdict, private=private)
    return {
        "private": private,
        "outcome": verdict.outcome.value,
        "tone": tone_of(verdict.outcome.value),
        "title": heading,
        "version": version,
        "sentence": _sentence(
            report, verdict, schema, provenance=provenance, created=created, measurements=measurements
        ),
        "description": provenance.description if provenance else "",
        "altered": [] if report.targets is None else list(report.targets.sentences()),
        "reasons": reasons,
        "more_reasons": more,
        "tiles": tiles(measurements),
        "blocks": blocks(measurements),
        "multiples": [],
        "more_columns": 0,
        "heat": None,
        "heat_note": "",
        "scatter": None,
        "scatter_note": "",
        "groups": [],
        "grids": [],
        "privacy_figures": [],
        "detectable": _detectable(measurements),
        "making": _making(report, provenance, private=private, gate_calls=gate_calls),
        "overrides": list(verdict.overrides or report.policy.overrides),
        "candidates": [],
        "curve": None,
        "curve_note": "",
        "notes": [],
        "not_for": list(provenance.warnings if provenance else GENERAL_WARNINGS),
        "glossary": glossary_lines(measurements, TERMS),
        "footer": f"Written by Understudy {code_version()['understudy'] or ''} on {words.day(created)}, "
        f"{created:%H:%M} UTC. This page is complete in itself: no script, no request.",
    }


def _sentence(
    report: Report,
    verdict: Verdict,
    schema: Schema,
    *,
    provenance: Provenance | None,
    created: datetime,
    measurements: Sequence[Judged],
) -> str:
    rows = report.sizes.get("synthetic", 0)
    made = f" made by {provenance.model.family}" if provenance else ""
    what = f"{words.count(rows, 'synthetic row')} in {words.count(len(schema.columns), 'column')}{made}"
    good = sum(one.status is Status.PASS for one in measurements)
    of_all = words.count(len(measurements), "measurement")
    held = f"{good} of {of_all} inside the limits of the policy {report.policy.name}"
    outcome = {
        Outcome.PASS: "may be released",
        Outcome.REFUSE: "must not be released",
        Outcome.INCONCLUSIVE: "cannot be released: there is too little data to be sure",
        Outcome.INVALID: "cannot be released: the judgement itself went wrong",
    }[verdict.outcome]
    return f"{what} {outcome}. Judged on {words.day(created)}: {held}."


def _detectable(measurements: Sequence[Judged]) -> str:
    """Return the smallest leak that the privacy tests see, as a sentence; nothing where it was not measured."""
    found = next((one for one in measurements if one.name == "detectable_leak" and one.value is not None), None)
    if found is None:
        return ""
    share = words.quantity(coarse(found.value), "percent")
    return (
        f"These tests would have noticed copies of {share} of the training rows or more. What is rarer than that no "
        "test on so many rows can rule out."
    )


def _making(
    report: Report, provenance: Provenance | None, *, private: bool, gate_calls: int | None = None
) -> list[tuple[str, str]]:
    """Return (name, text) lines on model, budget, seeds, policy and versions."""
    lines: list[tuple[str, str]] = []
    if provenance is not None:
        model = provenance.model
        parameters = f", {words.count(model.parameters, 'parameter')}" if model.parameters else ""
        lines.append(("Synthesizer", f"{model.family}{parameters}"))
        steps = f"{words.count(model.steps, 'step')} in " if model.steps else ""
        why = _STOPPED.get(model.stopped_by, model.stopped_by)
        lines.append(
            ("Fit", f"{steps}{words.duration(model.seconds)} on {model.device}, {model.precision}; ended because {why}")
        )
        given = [words.duration(provenance.budget_seconds)] * (provenance.budget_seconds is not None)
        given += [words.count(provenance.budget_steps or 0, "step")] * (provenance.budget_steps is not None)
        lines.append(("Budget", " or ".join(given) or "none"))
        if model.config:
            lines.append(("Settings", ", ".join(f"{key} {value}" for key, value in model.config.items())))
        lines.append(("Seed", f"{provenance.seed} (judgement {report.seed})"))
        if provenance.gate_calls is not None:
            asked = words.count(provenance.gate_calls, "table")
            lines.append(("Gate", f"{asked} judged against this source so far, this one included"))
    else:
        lines.append(("Synthesizer", "unknown: the rows were made elsewhere"))
        lines.append(("Seed", f"judgement {report.seed}"))
        if gate_calls is not None:
            asked = words.count(gate_calls, "judgement")
            lines.append(("Gate", f"{asked} against these training rows so far, this one included"))
    if private:
        parts = [f"{name} {rows:,}" for name, rows in report.sizes.items() if rows]
        lines.append(("Rows", " · ".join(parts)))
        if provenance is not None and provenance.model.best is not None:
            lines.append(("Best loss", f"{words.signed(provenance.model.best, 4)} {provenance.model.loss_unit}"))
    lines.append(("Policy", report.policy.name + (", changed (below)" if report.policy.overrides else "")))
    if report.policy.extractor is not None:
        lines.append(("Own features", f"of a network given by the user: {report.policy.extractor.words}"))
    code = code_version()
    revision = f", revision {code['revision'][:12]}" if code["revision"] else ""
    lines.append(("Code", f"understudy {code['understudy'] or 'unknown'}{revision}"))
    lines.append(("Libraries", ", ".join(f"{name} {version}" for name, version in dependency_versions().items())))
    return lines


def _curve(provenance: Provenance) -> dict[str, Any]:
    """Return the training curve, or nothing where a fit has none."""
    series = []
    for name, key_ in (("train", "train_loss"), ("validation", "validation_loss")):
        points = [
            (float(row["step"]), float(row[key_])) for row in provenance.model.history if {"step", key_} <= set(row)
        ]
        if len(points) > 1:
            series.append((name, points))
    if not series:
        return {}
    steps = [x for _, line in series for x, _ in line]
    losses = [y for _, line in series for _, y in line]
    picture = curve(
        series,
        ends=(f"step {min(steps):,.0f}", f"{max(steps):,.0f}"),
        heights=(words.signed(min(losses), 3), words.signed(max(losses), 3)),
        label="loss against training steps",
    )
    note = f"Loss in {provenance.model.loss_unit}: dark on the rows it learns from, blue on rows kept aside."
    return {"curve": picture, "curve_note": note}


def _render(page: dict[str, Any]) -> str:
    environment, style = _environment()
    return environment.get_template("report.html.j2").render(page=page, style=Markup(style))  # noqa: S704 - our own file


@cache
def _environment() -> tuple[jinja2.Environment, str]:
    loader = jinja2.PackageLoader("releases.report", "templates")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=False, keep_trailing_newline=True
    )
    style, _, _ = loader.get_source(environment, "style.css")
    return environment, style
