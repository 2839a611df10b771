"""Scores of a synthetic table, computed apart from the project's own judges so that one can check the other.

Everything is measured against the training part, beside the same figure for fresh real rows:

- C2ST: AUC of a 3-fold gradient-boosting classifier that tells real from synthetic (0.5 is best); "fresh" is the same
  against the test part, which shows what only looks good because training rows were learnt too well;
- TSTR: AUC on the test part of a gradient-boosting classifier trained on the synthetic rows;
- k-way: 1 - total variation of the k-way marginals, 10 quantile bins or the 10 most frequent categories a column;
- Shape and Trend: SDMetrics' column scores, as errors in percent;
- DCR share: synthetic rows nearer to train than to an equally large part of fresh rows (0.5 is ideal);
- copies: share of synthetic rows that stand verbatim in train, beside the share of fresh rows that do.
"""

import itertools

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

MOST_ROWS = 20_000
BINS = 10


def features(frame: pd.DataFrame, train: pd.DataFrame) -> tuple[np.ndarray, list[bool]]:
    """Return a float matrix (rows, columns) and which columns are categorical; codes order as in `train`."""
    columns, categorical = [], []
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]):
            columns.append(frame[name].astype(float).to_numpy())
            categorical.append(False)
        else:
            order = train[name].astype(str).value_counts().index[:250]
            codes = pd.Categorical(frame[name].astype(str), categories=order).codes.astype(float)
            columns.append(np.where(codes < 0, 250.0, codes))
            categorical.append(True)
    return np.column_stack(columns), categorical


def c2st_auc(real: pd.DataFrame, synthetic: pd.DataFrame, train: pd.DataFrame, rng: np.random.Generator) -> float:
    """Return the cross-validated AUC of telling `synthetic` from `real`, at most 20,000 rows a side."""
    n = min(len(real), len(synthetic), MOST_ROWS)
    first, categorical = features(real.iloc[rng.permutation(len(real))[:n]], train)
    second, _ = features(synthetic.iloc[rng.permutation(len(synthetic))[:n]], train)
    x, y = np.vstack([first, second]), np.repeat([0, 1], n)
    scores = np.empty(2 * n)
    for fit, test in StratifiedKFold(3, shuffle=True, random_state=0).split(x, y):
        model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)
        scores[test] = model.fit(x[fit], y[fit]).predict_proba(x[test])[:, 1]
    return float(roc_auc_score(y, scores))


def tstr_auc(fit: pd.DataFrame, test: pd.DataFrame, target: str) -> float:
    """Return the AUC on `test` of a classifier of the binary `target` that was trained on `fit`."""
    positive = max(test[target].astype(str).unique())
    x, categorical = features(fit.drop(columns=target), test.drop(columns=target))
    x_test, _ = features(test.drop(columns=target), test.drop(columns=target))
    model = HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)
    model.fit(x, fit[target].astype(str) == positive)
    return float(roc_auc_score(test[target].astype(str) == positive, model.predict_proba(x_test)[:, 1]))


def binned(frame: pd.DataFrame, train: pd.DataFrame) -> np.ndarray:
    """Return int codes (rows, columns) below 13: quantile bins of `train`, its ten top categories, other, missing."""
    codes = []
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]):
            edges = np.unique(np.nanquantile(train[name].astype(float), np.linspace(0, 1, BINS + 1)[1:-1]))
            values = frame[name].astype(float).to_numpy()
            code = np.where(np.isnan(values), 12, np.searchsorted(edges, values, side="right"))
        else:
            top = train[name].value_counts().index[:BINS]
            code = pd.Categorical(frame[name], categories=top).codes.astype(int)
            code = np.where(frame[name].isna(), 12, np.where(code < 0, 11, code))
        codes.append(code)
    return np.column_stack(codes)


def kway(train: np.ndarray, other: np.ndarray, k: int, rng: np.random.Generator, *, most: int = 400) -> float:
    """Return the mean over k-sets of columns (at most `most` drawn ones) of 1 - total variation."""
    sets = list(itertools.combinations(range(train.shape[1]), k))
    if len(sets) > most:
        sets = [sets[i] for i in rng.permutation(len(sets))[:most]]
    weights = 13 ** np.arange(k)
    scores = []
    for chosen in sets:
        p = np.bincount(train[:, chosen] @ weights, minlength=13**k) / len(train)
        q = np.bincount(other[:, chosen] @ weights, minlength=13**k) / len(other)
        scores.append(1 - np.abs(p - q).sum() / 2)
    return float(np.mean(scores))


def shape_and_trend_errors(real: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[float, float]:
    """Return SDMetrics' Shape and Trend errors in percent."""
    from sdmetrics.reports.single_table import QualityReport  # noqa: PLC0415 - slow to import

    kinds = {
        name: {"sdtype": "numerical" if pd.api.types.is_numeric_dtype(real[name]) else "categorical"}
        for name in real.columns
    }
    report = QualityReport()
    report.generate(real, synthetic, {"columns": kinds}, verbose=False)
    shape, trend = report.get_properties()["Score"]
    return 100 * (1 - shape), 100 * (1 - trend)


def dcr_share(synthetic: pd.DataFrame, train: pd.DataFrame, fresh: pd.DataFrame, rng: np.random.Generator) -> float:
    """Return the share of synthetic rows nearer to train than to fresh rows of equal number; ties count half."""
    n = min(len(train), len(fresh))
    parts = [part.iloc[rng.permutation(len(part))[:n]] for part in (train, fresh)]
    query = synthetic.iloc[rng.permutation(len(synthetic))[:MOST_ROWS]]
    columns: list[list[np.ndarray]] = [[], [], []]
    for name in train.columns:
        if pd.api.types.is_numeric_dtype(train[name]):
            values = train[name].astype(float)
            scale = np.nanquantile(values, 0.95) - np.nanquantile(values, 0.05) or values.std() or 1.0
            for out, part in zip(columns, (*parts, query), strict=True):
                out.append((part[name].astype(float).fillna(values.median()) / scale).to_numpy()[:, None])
        else:
            for out, part in zip(columns, (*parts, query), strict=True):
                codes = pd.Categorical(part[name].astype(str), categories=train[name].astype(str).unique()).codes
                out.append(np.eye(train[name].astype(str).nunique() + 1)[codes] / np.sqrt(2))
    first, second, x = (np.hstack(block) for block in columns)
    near_train = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(first).kneighbors(x)[0][:, 0]
    near_fresh = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(second).kneighbors(x)[0][:, 0]
    return float(np.mean((near_train < near_fresh - 1e-6) + 0.5 * (np.abs(near_train - near_fresh) <= 1e-6)))


def copies(rows: pd.DataFrame, train: pd.DataFrame) -> float:
    """Return the share of `rows` that stand verbatim in `train`."""
    known = set(pd.util.hash_pandas_object(train.astype(str), index=False))
    return float(pd.util.hash_pandas_object(rows.astype(str), index=False).isin(known).mean())


def all_scores(
    train: pd.DataFrame, test: pd.DataFrame, synthetic: pd.DataFrame, *, target: str | None, seed: int = 0
) -> dict[str, float]:
    """Return every score of `synthetic`; the columns and types must be those of `train`."""
    rng = np.random.default_rng(seed)
    codes, other = binned(train, train), binned(synthetic, train)
    scores = {"c2st": c2st_auc(train, synthetic, train, rng), "c2st fresh": c2st_auc(test, synthetic, train, rng)}
    if target is not None:
        scores["tstr"] = tstr_auc(synthetic, test, target)
    scores |= {f"{k}-way": kway(codes, other, k, np.random.default_rng(k)) for k in (1, 2, 3)}
    scores["shape err %"], scores["trend err %"] = shape_and_trend_errors(train, synthetic)
    scores["dcr share"] = dcr_share(synthetic, train, test, rng)
    scores["copies %"] = 100 * copies(synthetic, train)
    return scores
