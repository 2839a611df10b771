"""The real data of a run: read, described, checked against its contract, and split. No Prefect, no torch.

A run opens its source before Prefect starts, so that a mistake in the spec or the file shows within a second.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from flows.errors import FlowInputError
from flows.pictures import check_extractor, check_pictures, settled
from flows.spec import ArraysSource, FileSource, FolderSource, RebalanceSpec, SchemaSpec, Source, Spec, SqlSource
from sources.conform import conform
from sources.contract import ContractResult, check, contract_of
from sources.dataset import Dataset
from sources.errors import SourceInputError
from sources.fingerprint import fingerprint
from sources.images import ImageOptions
from sources.inference import infer_schema
from sources.overrides import SchemaOverrides, from_mapping
from sources.readers import SourceSpec, read
from sources.schema import Kind, Schema
from sources.split import Split, split
from sources.targets import Targets, read_targets
from validators.policy import Policy

MOST_NAMED = 5
UNMODELLED: tuple[Kind, ...] = ("text",)
"""Kinds that every family of `generators.registry` refuses."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A source that is fit to learn from.

    Args:
        dataset: all rows.
        contract: what the declared rules made of them; none of severity error is broken.
        fingerprint: of all rows. Private.

    """

    dataset: Dataset
    contract: ContractResult
    fingerprint: str

    @property
    def schema(self) -> Schema:
        """What the columns are."""
        return self.dataset.schema


def open_source(spec: Spec, *, place: str) -> Opened:
    """Return the source of `spec`, read and checked.

    Args:
        spec: its source and schema are used.
        place: the spec's file, for messages.

    Raises:
        SourceInputError: the source cannot be read or described.
        FlowInputError: the source breaks a rule of its own contract, or holds columns that nothing learns.

    """
    frame = read(source_of(spec.source))
    try:
        schema = infer_schema(frame, overrides_of(spec.table, place=place))
    except SourceInputError as error:
        if error.remedy is not None:
            raise
        remedy = f"correct {place} or the cells; a key that is left out is inferred"
        raise FlowInputError(error.what, seen=error.seen, remedy=remedy) from error
    check_roles(schema, place=place)
    check_modelled(schema, place=place)
    check_pictures(settled(spec, schema), schema, rows=len(frame), place=place)
    check_extractor(Policy.from_spec(spec.policy), schema, place=place)
    dataset = conform(frame, schema)
    return Opened(dataset=dataset, contract=checked(dataset, place=place), fingerprint=fingerprint(dataset))


def checked(dataset: Dataset, *, place: str) -> ContractResult:
    """Return what the declared rules make of the source.

    Raises:
        FlowInputError: a rule of severity error is broken, or could not be checked.

    """
    result = check(dataset, contract_of(dataset.schema), public=False)
    if not result.passed:
        bad = [rule for rule in (*result.broken, *result.errored) if rule.severity == "error"]
        raise FlowInputError(
            f"{place}: the source breaks its own contract",
            seen="; ".join(rule.description for rule in bad[:MOST_NAMED]),
            remedy="correct the source, or these rules under schema",
        )
    return result


def parts_of(opened: Opened, *, seed: int) -> Split:
    """Return train, holdout and reference."""
    return split(opened.dataset, seed=seed)


def targets_of(rebalance: RebalanceSpec | None, real: Sequence[Dataset], *, place: str) -> Targets | None:
    """Return the law that the spec states, checked against all real rows; None where it states none.

    Raises:
        SourceInputError: it names what the rows do not have, or too rarely.

    """
    if rebalance is None:
        return None
    equal = rebalance.equal_rates
    return read_targets(
        rebalance.shares,
        None if equal is None else equal.outcome,
        () if equal is None else equal.over,
        real=real,
        place=f"{place}: rebalance",
    )


def source_of(source: Source) -> SourceSpec:
    """Return what `sources.readers` reads for the spec's source."""
    if isinstance(source, FileSource):
        images = ImageOptions(resize=source.resize, mode=source.mode)
        return SourceSpec(kind="file", path=source.path, options=source.options, images=images)
    if isinstance(source, FolderSource):
        images = ImageOptions(resize=source.resize, mode=source.mode)
        return SourceSpec(kind="folder", folder=source.folder, attributes=source.attributes, images=images)
    if isinstance(source, ArraysSource):
        return SourceSpec(kind="arrays", arrays=source.arrays, array=source.images)
    if isinstance(source, SqlSource):
        return SourceSpec(kind="sql", url=_from_environment(source.url), sql=source.sql)
    return SourceSpec(kind=source.kind, dataset=source.dataset)


def overrides_of(table: SchemaSpec, *, place: str) -> SchemaOverrides:
    """Return what the spec says of the columns, as `sources.inference` takes it."""
    plain = table.model_dump(mode="json", exclude_none=True)
    return from_mapping(plain, place=f"{place}: schema")


def check_roles(schema: Schema, *, place: str) -> None:
    """Refuse roles that cannot be judged.

    Raises:
        FlowInputError: the target is constant, or no outcome can be told from it.

    """
    target = schema.target
    if target is not None and target.kind in ("id", "text", "image"):
        raise FlowInputError(
            f"{place}: schema.columns.{target.name}: a target must be a number, a label, a truth value or a date",
            seen=target.kind,
            remedy="give the role to another column, or set its kind",
        )


def check_modelled(schema: Schema, *, place: str) -> None:
    """Refuse columns that no synthesizer learns, before a run begins.

    Raises:
        FlowInputError: a column holds free text.
        GeneratorInputError: personal details cannot be made, for want of Faker or of the locale in it.

    """
    for locale in {column.locale for column in schema.columns} - {None}:
        from generators.tabular.personal import check_locale  # noqa: PLC0415 - imports Faker

        check_locale(str(locale))
    beyond = [column for column in schema.columns if column.kind in UNMODELLED]
    if beyond:
        shown = ", ".join(f'"{column.name}"' for column in beyond[:MOST_NAMED])
        raise FlowInputError(
            f"{place}: no synthesizer learns columns of kind {beyond[0].kind}",
            seen=shown + (f" and {len(beyond) - MOST_NAMED} more" if len(beyond) > MOST_NAMED else ""),
            remedy="set drop: true under schema.columns to leave them out, or their kind: id (made anew), categorical "
            "(repeated labels); names and addresses: pii",
        )


def check_target(dataset: Dataset, *, place: str, column: str = "") -> None:
    """Refuse a target that has one value only.

    Raises:
        FlowInputError: nothing can be predicted.

    """
    target = dataset.schema.target
    if target is None:
        return
    values = dataset.frame[target.name].dropna()
    outcome = values > target.threshold if target.threshold is not None and target.kind == "numeric" else values
    if outcome.nunique() < 2:  # noqa: PLR2004 - an outcome that differs
        threshold = "" if target.threshold is None else f" with threshold {target.threshold:g}"
        raise FlowInputError(
            f"{place}: {column or f'schema.columns.{target.name}'}: the target is constant{threshold}",
            seen=f"{outcome.nunique()} distinct values in {len(values):,} rows",
            remedy="choose another target, or another threshold",
        )


def names_of(columns: Sequence[object]) -> str:
    """Return the first names, for a remedy."""
    shown = [str(name) for name in columns[:12]]
    return "columns: " + ", ".join(shown) + (", …" if len(columns) > len(shown) else "")


def _from_environment(url: str) -> str:
    """Return the URL, taken from the environment where it is `$NAME`; so a spec need not hold a password."""
    if not url.startswith("$"):
        return url
    name = url[1:].strip("{}")
    if not os.environ.get(name):
        raise FlowInputError(
            f"source.url: the environment has no {name}", remedy=f"export {name}=dialect://user@host/db"
        )
    return os.environ[name]
