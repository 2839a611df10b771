"""Say where the time of a tabular fit and of drawing goes: matrix products, data movement, the rest, Python.

    python benchmarks/profiles.py --data adult/train.parquet --family tabular.autoregressive --steps 300

torch's profiler counts the time that each operator spends in itself; the operators are grouped by what they do, and
what no operator takes of the wall clock is Python and waiting. One thread, so that shares are shares of processor time;
the profiler itself slows Python down, so its share is an upper bound.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import pandas as pd
import torch
from tables import markdown
from torch.profiler import ProfilerActivity, profile

from generators.base import Budget, ignore_step
from generators.registry import SYNTHESIZERS
from sources.conform import conform
from sources.inference import infer_schema

KINDS = {
    "matrix products": ("mm", "bmm", "addmm", "matmul", "linear", "baddbmm", "convolution", "mkldnn"),
    "data movement": (
        "copy_", "cat", "index", "gather", "scatter", "embedding", "clone", "contiguous", "select", "slice", "fill_",
        "zero_", "stack", "empty", "resize", "as_strided", "view", "transpose", "masked", "where", "repeat", "pad",
    ),
    "random numbers": ("rand", "uniform", "normal", "multinomial", "bernoulli", "dropout", "exponential"),
    "softmax, norms, activations": (
        "softmax", "norm", "gelu", "relu", "silu", "sigmoid", "tanh", "exp", "log", "nll_loss", "cross_entropy",
    ),
    "optimiser": ("adam", "lerp", "addcmul", "addcdiv", "foreach"),
}  # fmt: skip
"""Kind -> parts of operators' names; the first kind that fits counts."""


def kind_of(operator: str) -> str:
    """Return the kind of `aten::...`.

    >>> kind_of("aten::addmm"), kind_of("aten::copy_"), kind_of("aten::mul")
    ('matrix products', 'data movement', 'sums and other arithmetic')
    """
    name = operator.rsplit("::", maxsplit=1)[-1]
    for kind, parts in KINDS.items():
        if any(part in name for part in parts):
            return kind
    return "sums and other arithmetic"


def shares(work: Callable[[], object]) -> dict[str, float]:
    """Return per cent of the wall clock that each kind of operator took while `work` ran, and `seconds`."""
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    seconds = time.perf_counter() - start
    found = dict.fromkeys((*KINDS, "sums and other arithmetic"), 0.0)
    for event in profiler.key_averages():
        if "::" in event.key:
            found[kind_of(event.key)] += event.self_cpu_time_total / 1e6
    percent = {kind: 100 * spent / seconds for kind, spent in found.items()}
    return {**percent, "Python and waiting": 100 - sum(percent.values()), "seconds": seconds}


def main() -> None:
    """Profile a fit and a draw of as many rows, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--family", default="tabular.autoregressive")
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    frame = pd.read_parquet(args.data)
    train = conform(frame, infer_schema(frame))
    family = SYNTHESIZERS[args.family]
    synthesizer = family.build(family.config())
    with tempfile.TemporaryDirectory() as folder:
        fit = shares(
            lambda: synthesizer.fit(
                train, seed=0, budget=Budget(steps=args.steps), run_dir=Path(folder), on_step=ignore_step
            )
        )
    synthesizer.sample(1_000, seed=0)  # kernels are made at the first use
    draw = shares(lambda: synthesizer.sample(len(train), seed=1))
    print(markdown(pd.DataFrame({"of": list(fit), "fit, %": fit.values(), "draw, %": draw.values()})))


if __name__ == "__main__":
    main()
