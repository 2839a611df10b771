"""Great Expectations, asked for yes or no: an ephemeral context, no telemetry, no value in any result.

Columns go in under neutral names, so that no name of a source can meet a word that the library reserves, and nothing
of the library's answer but its truth values comes out.
"""

import logging
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sources.relations import sum_residual

logger = logging.getLogger(__name__)


def run_checks(frame: pd.DataFrame, rules: Sequence[dict[str, Any]]) -> dict[str, bool | None]:
    """Return for each rule id whether it holds; None where it could not be checked.

    Args:
        frame: canonical columns.
        rules: `id`, `check` (see `sources.contract.Check`), `columns`, `arguments`, `mostly` (the share of cells that
            must keep the rule) and `severity`.

    """
    if not rules:
        return {}
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read when the library is imported
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own use of pandas and marshmallow
        import great_expectations as gx  # noqa: PLC0415 - takes two seconds

        return _validate(gx, frame, rules)


def _validate(gx: Any, frame: pd.DataFrame, rules: Sequence[dict[str, Any]]) -> dict[str, bool | None]:
    names = {name: f"c{position}" for position, name in enumerate(frame.columns)}
    plain = pd.DataFrame({names[name]: _checkable(frame[name]) for name in frame.columns}, index=frame.index)
    for position, rule in enumerate(rules):
        if rule["check"] == "sum":
            columns = [frame[name].to_numpy(dtype="float64") for name in rule["columns"]]
            plain[f"r{position}"] = sum_residual(columns, rule["arguments"]["tolerance"])
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("memory").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": plain})
    suite = context.suites.add(gx.ExpectationSuite(name="contract"))
    for position, rule in enumerate(rules):
        suite.add_expectation(_expectation(gx, rule, position, names))
    noise = logging.getLogger("great_expectations")
    level = noise.level
    noise.setLevel(logging.CRITICAL)  # it logs the text of errors, which may hold cells
    try:
        answer = batch.validate(suite, result_format="BOOLEAN_ONLY")
    finally:
        noise.setLevel(level)
    outcomes: dict[str, bool | None] = {rule["id"]: None for rule in rules}
    for result in answer.results:
        position = result.expectation_config.meta["rule"]
        outcomes[rules[position]["id"]] = None if _raised(result) else bool(result.success)
    for name, outcome in outcomes.items():
        if outcome is None:
            logger.error("contract rule %s could not be checked", name)
    return outcomes


def _raised(result: Any) -> bool:
    information = result.exception_info or {}
    if "raised_exception" in information:
        return bool(information["raised_exception"])
    return any(entry.get("raised_exception") for entry in information.values())


def _checkable(values: pd.Series) -> pd.Series:
    """Return times as days since 1970 and truth values as numbers; the rest as it is."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        days = values.to_numpy().astype("datetime64[us]").astype("int64") / 86_400e6
        return pd.Series(np.where(values.isna(), np.nan, days), index=values.index)
    if values.dtype == "boolean":
        return values.astype("Float64").astype("float64")
    return values


def _expectation(gx: Any, rule: dict[str, Any], position: int, names: dict[str, str]) -> Any:
    columns = [names[name] for name in rule["columns"]]
    arguments = rule["arguments"]
    common = {"meta": {"rule": position}, "severity": "critical" if rule["severity"] == "error" else "warning"}
    expect = gx.expectations
    match rule["check"]:
        case "rows":
            return expect.ExpectTableRowCountToBeBetween(min_value=1, **common)
        case "missing":
            return expect.ExpectColumnValuesToNotBeNull(column=columns[0], mostly=rule["mostly"], **common)
        case "values":
            return expect.ExpectColumnValuesToBeInSet(
                column=columns[0], value_set=list(arguments["values"]), mostly=rule["mostly"], **common
            )
        case "range":
            return expect.ExpectColumnValuesToBeBetween(
                column=columns[0],
                min_value=arguments["minimum"],
                max_value=arguments["maximum"],
                mostly=rule["mostly"],
                **common,
            )
        case "pattern":
            return expect.ExpectColumnValuesToMatchRegex(
                column=columns[0], regex=rf"\A(?:{arguments['pattern']})\Z", mostly=rule["mostly"], **common
            )
        case "unique" if len(columns) == 1:
            return expect.ExpectColumnValuesToBeUnique(column=columns[0], **common)
        case "unique":
            return expect.ExpectCompoundColumnsToBeUnique(
                column_list=columns, ignore_row_if="any_value_is_missing", **common
            )
        case "greater_or_equal" | "greater":
            return expect.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A=columns[0],
                column_B=columns[1],
                or_equal=rule["check"] == "greater_or_equal",
                ignore_row_if="either_value_is_missing",
                **common,
            )
        case "sum":
            return expect.ExpectColumnValuesToBeBetween(column=f"r{position}", min_value=-1, max_value=1, **common)
        case other:
            raise AssertionError(other)
