"""Publishing: judged rows become one version of a release, completely or not at all.

Same content published again is a new version: a release is an event, and who runs the schedule wants to see it.
"""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from releases.approvals import Approval
from releases.c2pa_credential import Credential
from releases.c2pa_manifests import embedded
from releases.card import card, gap_sentence, gaps
from releases.contact_sheet import FILE_NAME as SHEET
from releases.contact_sheet import sheet_of
from releases.croissant import FILE_NAME as CROISSANT
from releases.croissant import croissant, to_text
from releases.data_files import ReleaseFormat, has_pictures, write_data
from releases.dsse import FILE_NAME as SIGNATURE_NAME
from releases.errors import ReleaseError, ReleaseInputError
from releases.keys import SigningKey
from releases.manifest import FILE_NAME, file_entry, manifest_of
from releases.pointer import settle_latest
from releases.provenance import Provenance
from releases.public import PublicMeasurement, public_measurements
from releases.remote_store import RemoteStore
from releases.report.page import render_public
from releases.schema_file import public_schema
from releases.shelf import Versioning, new_version
from releases.signing import signature_of
from releases.stores import Address, as_store, place_of
from releases.uploading import uploaded_version
from sources.dataset import Dataset
from sources.files import json_text, write_bytes, write_json, write_text
from validators.gate import Outcome, Verdict, decide
from validators.pictures import Pictures
from validators.report import Report

VERDICT_FORMAT = "understudy verdict"


def publish(
    *,
    to: Path | RemoteStore,
    synthetic: Dataset,
    report: Report,
    verdict: Verdict,
    pictures: Pictures | None,
    provenance: Provenance,
    formats: Sequence[ReleaseFormat] = ("parquet", "csv"),
    versioning: Versioning = "number",
    created: datetime | None = None,
    signers: Sequence[SigningKey] = (),
    approvals: Sequence[Approval] = (),
    credential: Credential | None = None,
) -> Path | Address:
    """Write `<to>/<provenance.name>/<version>` and return it.

    Data, card, public report, schema and verdict come first, `MANIFEST.json` last, all in a staging folder that one
    rename turns into the version, or that is uploaded, its manifest last; a kill at any moment leaves nothing that
    looks like a release. `latest.json` of the release follows.

    Args:
        to: the folder of all releases, or the store of them.
        synthetic: the rows that were judged, all of them.
        report: the judgement of these rows; its policy is the policy of the release.
        verdict: what the gate decided on `report`.
        pictures: of the judgement; only their public part is used. None draws none.
        provenance: the story of the run.
        formats: see `releases.data_files`; the first table is what dataset viewers load.
        versioning: `number`, or `time` (UTC).
        created: the moment of publishing; now when None.
        signers: each signs the statement on all files (`SIGNATURE.dsse`, written before the manifest).
        approvals: of people; they stand on the card and in the manifest, and are signed with it.
        credential: signs a C2PA manifest in each file of a picture; None embeds none.

    Raises:
        ReleaseError: the verdict is not PASS, or does not follow from the report: a defect of the caller.
        ReleaseInputError: the folder cannot be written, the name is no folder name, the disk is full, or the formats
            do not hold these rows.

    """
    if verdict.outcome is not Outcome.PASS or decide(report, report.policy).outcome is not Outcome.PASS:
        raise ReleaseError(f"{provenance.name}: only what passed the gate is published, this is {verdict.outcome}")
    if report.sizes.get("synthetic") != len(synthetic):
        raise ReleaseError(f"{provenance.name}: the report is about other rows than those to publish")
    created = (created or datetime.now(UTC)).astimezone(UTC)
    coarse = public_measurements(report.measurements, synthetic.schema.names)
    store = as_store(to)
    try:
        with _made_whole(to, provenance.name, versioning=versioning, created=created) as (version, staging):
            data = write_data(synthetic, staging, formats)
            if has_pictures(synthetic.schema):
                write_bytes(staging / SHEET, sheet_of(synthetic, seed=report.seed))
            c2pa = None if credential is None else embedded(staging, credential)
            data = replace(data, c2pa=c2pa is not None)
            write_json(staging / "schema.json", public_schema(synthetic.schema))
            write_json(staging / "verdict.json", _verdict(coarse, report, verdict))
            page = render_public(
                report=report,
                verdict=verdict,
                pictures=pictures,
                schema=synthetic.schema,
                provenance=provenance,
                version=version,
                created=created,
            )
            write_text(staging / "report.html", page)
            readme = card(
                schema=synthetic.schema,
                rows=len(synthetic),
                measurements=coarse,
                policy=report.policy,
                provenance=provenance,
                data=data,
                version=version,
                created=created,
                targets=report.targets,
                approvals=approvals,
            )
            write_text(staging / "README.md", readme)
            described = croissant(
                schema=synthetic.schema,
                files={path: file_entry(staging / path) for path in data.tables},
                data=data,
                limits=[gap_sentence(one) for one in gaps(coarse)],
                provenance=provenance,
                version=version,
                created=created,
            )
            write_text(staging / CROISSANT, to_text(described))
            manifest = manifest_of(
                staging,
                version=version,
                created=created,
                rows=len(synthetic),
                columns=len(synthetic.schema.columns),
                report=report,
                verdict=verdict,
                provenance=provenance,
                approvals=approvals,
                signers=[key.public for key in signers],
                c2pa=c2pa,
            )
            text = json_text(manifest)
            if signers:
                signature = signature_of(manifest, text.encode(), _verdict(coarse, report, verdict), signers)
                write_bytes(staging / SIGNATURE_NAME, signature)
            write_text(staging / FILE_NAME, text)
    except OSError as error:
        raise ReleaseInputError(
            f"{store.address}: the release could not be written, nothing was published",
            seen=error.strerror or type(error).__name__,
            remedy="look at the space and the rights of this folder, then run again",
        ) from error
    release = place_of(to) / provenance.name / version
    try:
        settle_latest(store, provenance.name)
    except ReleaseInputError as error:
        raise ReleaseInputError(
            f"{release}: published and complete, but the pointer latest.json beside it was not moved: {error.what}",
            seen=error.seen,
            remedy="the next publish moves it; do not run again for its sake",
        ) from error
    return release


def _made_whole(
    to: Path | RemoteStore, name: str, *, versioning: Versioning, created: datetime
) -> AbstractContextManager[tuple[str, Path]]:
    """Return what yields (version, staging folder) and makes the folder a version where `to` says."""
    if isinstance(to, RemoteStore):
        return uploaded_version(to, name, versioning=versioning, created=created)
    return new_version(to, name, versioning=versioning, created=created)


def _verdict(coarse: Sequence[PublicMeasurement], report: Report, verdict: Verdict) -> dict[str, Any]:
    """Return `verdict.json`: outcome, policy and coarse measurements, from which `verify` works it out again."""
    plain = {
        "format": VERDICT_FORMAT,
        "format_version": 1,
        "outcome": verdict.outcome.value,
        "policy": report.policy.to_json(),
        "measurements": [measurement.to_json() for measurement in coarse],
    }
    return dict(json.loads(json.dumps(plain, allow_nan=False)))
