"""The spec: one strict model of the YAML file that describes a release.

Every field says what it is for, because the JSON Schema for editors (`understudy schema`) is made from this file.
The options of a candidate are the fields of its family's `Config`; they are checked by `flows.candidates`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from flows.notices import NotifySpec
from flows.runners import Runner
from flows.schedule import Schedule
from sources.images import MODES
from sources.schema import Kind, Pii, Role, Severity, Storage

STRICT = ConfigDict(extra="forbid", revalidate_instances="always", frozen=True, strict=True, allow_inf_nan=False)
Share = Annotated[float, Field(gt=0, lt=1)]
MAX_SIDE = 4096
Side = Annotated[int, Field(gt=0, le=MAX_SIDE)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


def _as_size(raw: Any) -> Any:
    """Refuse what is no [height, width], in words."""
    sides = isinstance(raw, list | tuple) and len(raw) == 2  # noqa: PLR2004 - a height and a width
    if raw is not None and not (sides and all(isinstance(one, int) and 0 < one <= MAX_SIDE for one in raw)):
        raise ValueError(f"give [height, width] in pixels, such as [32, 32], each at most {MAX_SIDE:,}")
    return raw


def _as_mode(raw: Any) -> Any:
    """Refuse what is no mode, and say what the modes are."""
    if raw not in (None, *MODES):
        raise ValueError("give L (grey), RGB, or RGBA (with opacity)")
    return raw


Size = Annotated[tuple[Side, Side] | None, BeforeValidator(_as_size)]
ImageMode = Annotated[Literal["L", "RGB", "RGBA"] | None, BeforeValidator(_as_mode)]
RESIZE_WORDS = "[height, width] that pictures are scaled to; left out: they must have one size"
MODE_WORDS = "turn every picture into this: L (grey), RGB or RGBA"


class FileSource(BaseModel):
    """A CSV, TSV or Parquet file, local or at any URL that fsspec knows."""

    model_config = STRICT
    kind: Literal["file"] = "file"
    path: str = Field(min_length=1, description="path or URL of the table")
    options: dict[str, Any] = Field(default_factory=dict, description="for the store, such as anon: true")
    resize: Size = Field(default=None, description=RESIZE_WORDS)
    mode: ImageMode = Field(default=None, description=MODE_WORDS)


class FolderSource(BaseModel):
    """Pictures in a local folder; folders in it name their labels, or a table describes them."""

    model_config = STRICT
    kind: Literal["folder"]
    folder: str = Field(min_length=1, description="folder of pictures, or of one folder for each label")
    attributes: str | None = Field(default=None, description="table with a column file that names each picture")
    resize: Size = Field(default=None, description=RESIZE_WORDS)
    mode: ImageMode = Field(default=None, description=MODE_WORDS)


class ArraysSource(BaseModel):
    """Pictures in a .npz or .npy file, with arrays of attributes beside them."""

    model_config = STRICT
    kind: Literal["arrays"]
    arrays: str = Field(min_length=1, description="path of the .npz or .npy file")
    images: str | None = Field(default=None, description="name of the array of pictures, N × H × W or N × H × W × C")


class SqlSource(BaseModel):
    """The result of a query."""

    model_config = STRICT
    kind: Literal["sql"] = "sql"
    url: str = Field(min_length=1, description="SQLAlchemy URL of the database; $NAME takes it from the environment")
    sql: str = Field(min_length=1, description="the query")


class StatsmodelsSource(BaseModel):
    """A table bundled with statsmodels."""

    model_config = STRICT
    kind: Literal["statsmodels"]
    dataset: str = Field(description="its name in statsmodels.datasets, such as fair")


class SklearnSource(BaseModel):
    """A table bundled with scikit-learn."""

    model_config = STRICT
    kind: Literal["sklearn"]
    dataset: str = Field(description="its name without load_, such as breast_cancer; digits_images holds pictures")


SOURCE_KINDS = ("file", "folder", "arrays", "sql", "statsmodels", "sklearn")


def with_kind(raw: Any) -> Any:
    """Add the kind that the keys of a source imply."""
    if isinstance(raw, str):
        return {"kind": "file", "path": raw}
    if isinstance(raw, dict) and "kind" not in raw:
        implied = {"sql": "sql", "url": "sql", "folder": "folder", "arrays": "arrays"}
        return {"kind": next((implied[key] for key in raw if key in implied), "file"), **raw}
    return raw


Source = Annotated[
    Annotated[
        FileSource | FolderSource | ArraysSource | SqlSource | StatsmodelsSource | SklearnSource,
        Field(discriminator="kind"),
    ],
    BeforeValidator(with_kind),
]


class RulesSpec(BaseModel):
    """What every cell of the column must satisfy, in the source and in the sample."""

    model_config = STRICT
    minimum: float | None = Field(default=None, description="smallest allowed number")
    maximum: float | None = Field(default=None, description="largest allowed number")
    values: tuple[str | int | float | bool, ...] | None = Field(default=None, description="the allowed labels")
    pattern: str | None = Field(default=None, description="regular expression that the whole cell must match")
    unique: bool | None = Field(default=None, description="no two rows share a value")
    max_missing: float | None = Field(default=None, ge=0, le=1, description="largest share of missing cells, 0 to 1")
    severity: Severity | None = Field(default=None, description="error (the usual one) refuses, warning is only shown")


class TableRuleSpec(BaseModel):
    """A rule over several columns; exactly one of the four."""

    model_config = STRICT
    greater_or_equal: tuple[str, str] | None = Field(default=None, description="the first is never below the second")
    greater: tuple[str, str] | None = Field(default=None, description="the first is always above the second")
    unique: tuple[str, ...] | None = Field(default=None, min_length=1, description="no two rows agree in all of these")
    sum: tuple[str, ...] | None = Field(default=None, min_length=2, description="the first is the sum of the others")
    severity: Severity | None = Field(default=None, description="error (the usual one) refuses, warning is only shown")


class ColumnSpec(BaseModel):
    """What is known about one column; what is left out is inferred from the data."""

    model_config = STRICT
    drop: bool | None = Field(default=None, description="leave the column out; the card and the contract say so")
    kind: Kind | None = Field(default=None, description="what the values mean")
    pii: Pii | None = Field(default=None, description="sort of personal detail; made anew, never copied (kind: id)")
    role: Role | None = Field(default=None, description="what the judges take the column for")
    integer: bool | None = Field(default=None, description="numbers are whole")
    decimals: int | None = Field(default=None, ge=0, le=15, description="decimals that the numbers are written with")
    storage: Storage | None = Field(default=None, description="type of the column in the released files")
    missing_marks: tuple[str, ...] | None = Field(default=None, description="texts that stand for a missing cell")
    positive: str | int | float | bool | None = Field(default=None, description="the label of the target that counts")
    threshold: float | None = Field(default=None, description="a numeric target counts when it is above this")
    bins: tuple[float, ...] | None = Field(
        default=None, description="inner edges that cut a protected number into groups"
    )
    timezone: str | None = Field(default=None, description="zone in which times are written, such as Europe/Prague")
    datetime_format: str | None = Field(default=None, description="how dates are written, such as %d.%m.%Y")
    truth: tuple[str, str] | None = Field(default=None, description="the texts for false and true, such as [no, yes]")
    description: str | None = Field(default=None, description="words for the card")
    unit: str | None = Field(default=None, description="unit for the card")
    rules: RulesSpec = Field(default_factory=RulesSpec, description="the column's part of the contract")


class SchemaSpec(BaseModel):
    """Columns and keys, where inference should not decide."""

    model_config = STRICT
    columns: dict[str, ColumnSpec] = Field(default_factory=dict, description="column name: what it is")
    entity_key: str | None = Field(
        default=None, description="column that names the person or thing; never split over parts"
    )
    order_key: str | None = Field(default=None, description="column that orders rows in time")
    rules: tuple[TableRuleSpec, ...] = Field(default=(), description="what holds between columns")
    locale: str | None = Field(
        default=None, description="language and country of made names and addresses, such as de_DE; left out: en_US"
    )


class BudgetSpec(BaseModel):
    """How long fits may take; whichever limit comes first ends one."""

    model_config = STRICT
    minutes: float | None = Field(
        default=None, gt=0, description="wall clock for all candidates that train, in equal shares"
    )
    steps: int | None = Field(default=None, gt=0, description="optimiser steps of each candidate")

    @model_validator(mode="after")
    def _some_limit(self) -> "BudgetSpec":
        if self.minutes is None and self.steps is None:
            raise ValueError("give minutes, or steps, or both")
        return self


class CandidateSpec(BaseModel):
    """One synthesizer to try; further keys are the options of its family."""

    model_config = STRICT
    kind: str = Field(description="name of the family, such as tabular.vae")
    budget: BudgetSpec | None = Field(default=None, description="its own budget instead of a share of the common one")
    options: dict[str, Any] = Field(default_factory=dict)


def _as_candidate(raw: Any) -> Any:
    """Turn `tabular.vae` and `{kind: tabular.vae, latent: 64}` into the fields of a CandidateSpec."""
    if isinstance(raw, str):
        return {"kind": raw}
    if isinstance(raw, dict):
        own = {key: raw[key] for key in ("kind", "budget") if key in raw}
        return {**own, "options": {key: value for key, value in raw.items() if key not in own}}
    return raw


Candidate = Annotated[CandidateSpec, BeforeValidator(_as_candidate)]


class EqualRatesSpec(BaseModel):
    """An outcome that shall be equally frequent in every group."""

    model_config = STRICT
    outcome: str = Field(min_length=1, description="column of labels; its positive one, or those with shares, count")
    over: tuple[str, ...] = Field(min_length=1, description="columns of labels whose combinations are the groups")


class RebalanceSpec(BaseModel):
    """What the release is asked to be instead of a likeness; said in everything that is published."""

    model_config = STRICT
    shares: dict[str, Annotated[dict[str, Share], Field(min_length=1)]] = Field(
        default_factory=dict,
        description='column: {label: share of all rows}, such as income: {">50K": 0.5}; other labels share the rest',
    )
    equal_rates: EqualRatesSpec | None = Field(default=None, description="an outcome that no group has more often")

    @model_validator(mode="after")
    def _something(self) -> "RebalanceSpec":
        if not self.shares and self.equal_rates is None:
            raise ValueError("give shares, or equal_rates, or both")
        return self


class ApprovalSpec(BaseModel):
    """Who must let a release out that has passed the gate."""

    model_config = STRICT
    by: tuple[Annotated[str, Field(min_length=1, max_length=80)], ...] = Field(
        default=(), description="names that may approve; left out: anybody"
    )
    other_than_requester: bool = Field(default=True, description="whoever asks may not approve")
    expires_hours: float = Field(default=72, gt=0, le=8760, description="hours after which a request is void")
    signed_by: tuple[str, ...] = Field(
        default=(), description="public key files; the approver signs with one of them; left out: without a key"
    )


def _as_approval(raw: Any) -> Any:
    """Turn `none` and `required` into what they stand for."""
    if raw in (None, "none"):
        return None
    if isinstance(raw, dict):  # lists are tuples here: what has passed through Python is validated strictly
        return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    if raw != "required":
        raise ValueError("give none, required, or keys such as {by: [Ann], expires_hours: 72}")
    return {}


def _as_places(raw: Any) -> Any:
    """Turn `true`, `false` and one place into a list of places."""
    if isinstance(raw, bool):
        return ("env:UNDERSTUDY_SIGNING_KEY",) if raw else ()
    if isinstance(raw, str):
        raw = [raw]
    if isinstance(raw, list) and any("-----BEGIN" in str(place) for place in raw):
        raise ValueError("never write a key into a spec; name its file, env:NAME or block:NAME, and replace the key")
    return tuple(raw) if isinstance(raw, list) else raw


C2PA_CERTIFICATE, C2PA_KEY = "env:UNDERSTUDY_C2PA_CERTIFICATE", "env:UNDERSTUDY_C2PA_KEY"


class C2paSpec(BaseModel):
    """Who signs the C2PA manifests of pictures."""

    model_config = STRICT
    certificate: str = Field(
        default=C2PA_CERTIFICATE, min_length=1, description="PEM of the chain, the signer's first; file or env:NAME"
    )
    key: str = Field(default=C2PA_KEY, min_length=1, description="PEM of its private key; file, env:NAME or block:NAME")


def _as_c2pa(raw: Any) -> Any:
    """Turn `true` and `false` into what they stand for."""
    if raw in (None, False):
        return None
    if isinstance(raw, dict):
        if any("-----BEGIN" in str(place) for place in raw.values()):
            raise ValueError("never write a key or a certificate into a spec; name its file or env:NAME")
        return raw
    if raw is not True:
        raise ValueError("give true, or {certificate: PLACE, key: PLACE}: files, env:NAME, and for the key block:NAME")
    return {}


class PublishSpec(BaseModel):
    """Where a release goes, in which formats, who signs it and who must approve it."""

    model_config = STRICT
    to: str = Field(
        default="releases/", min_length=1, description="folder of all releases, relative to --out, or URL of a store"
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="for the store, such as endpoint_url; credentials as $NAME of the environment"
    )
    formats: tuple[Literal["parquet", "csv", "png", "webp"], ...] = Field(
        default=("parquet", "csv"),
        min_length=1,
        description="of the data files; png and webp: a folder of pictures; left out: parquet alone for pictures",
    )
    sign: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(_as_places, json_schema_input_type=bool | str | tuple[str, ...]),
    ] = Field(default=(), description="true: $UNDERSTUDY_SIGNING_KEY; or private key files, env:NAME, block:NAME")
    approval: Annotated[
        ApprovalSpec | None,
        BeforeValidator(_as_approval, json_schema_input_type=Literal["none", "required"] | ApprovalSpec | None),
    ] = Field(default=None, description="none, required, or who may approve and until when")
    c2pa: Annotated[C2paSpec | None, BeforeValidator(_as_c2pa, json_schema_input_type=bool | C2paSpec | None)] = Field(
        default=None, description="true, or who signs a C2PA manifest in each picture; needs png or webp"
    )

    @field_validator("c2pa")
    @classmethod
    def _pictures_to_sign(cls, value: C2paSpec | None, info: ValidationInfo) -> C2paSpec | None:
        formats = info.data.get("formats")
        if value is not None and formats is not None and not {"png", "webp"} & set(formats):
            raise ValueError("add png or webp to publish.formats, whose files are signed, or leave c2pa out")
        return value


class GpuSpec(BaseModel):
    """How candidates of several machines share GPUs; those of one machine take turns anyway."""

    model_config = STRICT
    limit: Name = Field(description="a global concurrency limit of the Prefect server; each fit holds one slot of it")


class Spec(BaseModel):
    """One release: from which data, by which models, under which policy, published where."""

    model_config = STRICT
    name: Name = Field(description="name of the release; letters, digits, dots, dashes")
    source: Source = Field(description="where the real data is")
    table: SchemaSpec = Field(default_factory=SchemaSpec, alias="schema", description="what the columns are")
    candidates: tuple[Candidate, ...] = Field(
        default=(CandidateSpec(kind="tabular.autoregressive"),),
        min_length=1,
        description="synthesizers to try; left out: tabular.autoregressive, image.* for pictures",
    )
    budget: BudgetSpec = Field(
        default_factory=lambda: BudgetSpec(minutes=5), description="for the fits of all candidates together"
    )
    rows: int | None = Field(default=None, gt=0, description="rows to release; left out: as many as the source has")
    rebalance: RebalanceSpec | None = Field(
        default=None, description="stated shares of labels, equal rates over groups; left out: as the source is"
    )
    seed: int = Field(default=7, ge=0, lt=2**63, description="same spec, same seed, same files")
    policy: str | dict[str, Any] = Field(
        default="standard", description="a preset, or {preset: …, limit: value}; what differs is shown in the report"
    )
    canaries: int = Field(
        default=0, ge=0, le=1000, description="made-up rows planted in training to see if rows are remembered"
    )
    publish: PublishSpec = Field(default_factory=PublishSpec)
    gpu: GpuSpec | None = Field(default=None, description="GPUs shared over machines; left out: each machine its own")
    schedule: Schedule | None = Field(
        default=None, description='when `understudy deploy` starts runs: "0 3 * * 1", or {cron: …, timezone: …}'
    )
    runner: Runner | None = Field(
        default=None, description="where candidates are made: threads (the usual), processes, dask, ray, or {kind: …}"
    )
    drift: Literal["warn", "refuse"] = Field(
        default="warn",
        description="what a source unlike the one of the last release does: only said, or nothing is made",
    )
    notify: NotifySpec | None = Field(default=None, description="a web hook that is told how runs end")
    title: str = Field(default="", description="a few words for the head of card and report")
    description: str = Field(default="", description="a sentence for the card: what the data is about")
    license: str = Field(default="other", description="SPDX identifier of the release's licence, for the card")
    not_for: tuple[str, ...] = Field(default=(), description="sentences on what the data must not be used for")
