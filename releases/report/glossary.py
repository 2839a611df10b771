"""What each measurement is called, how its number is written, what it means, and what to try when it refuses.

The texts are for a person who signs, not for one who programs; the definitions with formulas and sources are in
`docs/metrics.md` under the same names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Unit = Literal["points", "percent", "ratio", "plain", "p"]
"""How a number is written: hundredths as points or percent, as so many times, as it is, or as a p-value."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One measurement in words.

    Args:
        title: a few words, as a heading.
        unit: how its numbers are written.
        meaning: what it measures and which way is good.
        remedy: what to try when it stands in the way of a release.

    """

    title: str
    unit: Unit
    meaning: str
    remedy: str


GLOSSARY: Mapping[str, Entry] = {
    "contract_rules": Entry(
        title="Contract",
        unit="plain",
        meaning="How many rules of the data contract (types, ranges, allowed labels, missing cells, uniqueness and the "
        "author's own) the synthetic rows break. None may be broken.",
        remedy="See which rule broke. If real rows break it too, correct the rule in the spec; else train longer or choose "
        "another synthesizer.",
    ),
    "kway_1": Entry(
        title="Single columns",
        unit="points",
        meaning="Each column is cut into bins and labels; this is how much further the synthetic shares are from the real "
        "ones than the shares of fresh real rows are, averaged over columns. 0 is as good as fresh.",
        remedy="Give the fit more time, or choose a synthesizer that models columns directly (tabular.autoregressive).",
    ),
    "kway_2": Entry(
        title="Pairs of columns",
        unit="points",
        meaning="The same for tables of two columns at a time: whether columns go together as they do in reality.",
        remedy="Give the fit more time; a synthesizer that treats columns on their own fails here.",
    ),
    "kway_3": Entry(
        title="Triples of columns",
        unit="points",
        meaning="The same for tables of three columns at a time, where most models fall short first.",
        remedy="Give the fit more time or a larger network.",
    ),
    "column_shape": Entry(
        title="Shape of each column",
        unit="points",
        meaning="The part of one column's rows that would have to move to another bin or label to match the real column, "
        "beyond what chance does to fresh rows. Looked at column by column, because an average hides one spoilt column.",
        remedy="Look at the column's picture. Check its kind in the spec (a code taken for a number?), then train longer.",
    ),
    "association": Entry(
        title="Strength of relations",
        unit="plain",
        meaning="How much the strength of the relation between two columns (0 none, 1 full) differs from the real one.",
        remedy="Look at the pair map. Columns derived from each other are best dropped and computed again afterwards.",
    ),
    "dependence": Entry(
        title="Rows hang together",
        unit="points",
        meaning="How well a model can tell whole synthetic rows from rows whose cells were mixed up, compared with real "
        "rows: what is lost when columns are drawn independently.",
        remedy="The synthesizer has learnt columns rather than rows: train longer or choose another family.",
    ),
    "c2st": Entry(
        title="Real or synthetic?",
        unit="plain",
        meaning="A classifier tries to tell synthetic rows from real ones (area under the ROC curve). 0.5 is a coin toss, "
        "1 is always right; far below 0.5 means the synthetic rows are copies of the rows it learnt from.",
        remedy="Too high: train longer, and see which columns differ. Too low: the rows are copies, so fewer steps or more "
        "regularisation.",
    ),
    "tstr": Entry(
        title="Use for prediction",
        unit="plain",
        meaning="A model of the target is trained on synthetic rows and on real ones, both are tested on real rows that "
        "nobody has seen; this is what is lost by training on the synthetic ones.",
        remedy="Train longer; look at the pair map for columns that have lost their relation to the target.",
    ),
    "label_noise": Entry(
        title="Wrong labels",
        unit="points",
        meaning="The share of synthetic rows whose target contradicts the rest of the row, beyond the share among fresh "
        "real rows.",
        remedy="Train longer, or check that the target is not damaged on the way (missing marks, recoding).",
    ),
    "wrong_labels": Entry(
        title="Surely wrong labels",
        unit="p",
        meaning="Whether more synthetic targets contradict their rows than one in forty. The number is the "
        "probability of so much contradiction if no more were wrong: small is alarming.",
        remedy="Train longer, or check that the target is not damaged on the way (missing marks, recoding).",
    ),
    "lost_values": Entry(
        title="Lost values",
        unit="p",
        meaning="Whether a label, the missing cells, an end of a number (its outermost hundredth) or one whole row is "
        "there less than half as often as in real rows, or more than twice as often. The number is the probability of such a loss by "
        "chance: small is alarming.",
        remedy="See which value it is. Train longer; check clipping, rounding and the marks of missing cells.",
    ),
    "repeats": Entry(
        title="Repeated rows",
        unit="points",
        meaning="The share of synthetic rows that have an identical twin among the synthetic rows, less the share "
        "of real rows that have one among as many real rows.",
        remedy="Draw rows anew instead of repeating them; a synthesizer that repeats itself has "
        "collapsed: train it again.",
    ),
    "exact_copies": Entry(
        title="Exact copies",
        unit="p",
        meaning="Whether synthetic rows equal training rows more often than they equal real rows the synthesizer never "
        "saw. Common rows coincide by chance; more than that is somebody's record. The number is the probability of so "
        "many or more if nothing had leaked: small is alarming.",
        remedy="Stop training earlier, add regularisation, or drop columns that single people out (names, ids, free text).",
    ),
    "excess_matches": Entry(
        title="Excess matches",
        unit="p",
        meaning="Whether training rows have a very close synthetic neighbour more often than real rows the synthesizer "
        "never saw. The number is the probability of so many or more if nothing had leaked: small is alarming.",
        remedy="Stop training earlier (fewer steps), add dropout, use more rows, or choose a family that memorises less.",
    ),
    "atypical_matches": Entry(
        title="Matches of unusual rows",
        unit="p",
        meaning="The same for the most unusual rows alone, since a strange record is the one that somebody recognises.",
        remedy="Drop or coarsen the columns that make rows unique (rare labels, exact amounts), or stop training earlier.",
    ),
    "detectable_leak": Entry(
        title="Smallest leak that shows",
        unit="percent",
        meaning="The smallest part of the training rows whose copying these tests would have noticed. A test that could "
        "not have seen a leak has not shown that there is none.",
        remedy="Only more real rows help, above all in the holdout.",
    ),
    "dcr_share": Entry(
        title="Nearer to the training rows",
        unit="plain",
        meaning="The share of synthetic rows whose nearest real row is one the synthesizer learnt from, out of as many "
        "learnt as unseen rows. One half is what fresh rows score; above it the rows lean on their models.",
        remedy="Stop training earlier, add dropout, or use more rows.",
    ),
    "representation": Entry(
        title="Size of groups",
        unit="ratio",
        meaning="The share of a protected group among the synthetic rows, as a multiple of its share among real ones: "
        "1 is exact, 0.5 is halved, 0 is erased.",
        remedy="Train longer; small groups need more rows, or a coarser grouping in the spec.",
    ),
    "group_loss": Entry(
        title="Groups that shrank",
        unit="p",
        meaning="Whether any group, or combination of groups, has clearly fewer rows than real data would give it. The "
        "number is the probability of so few or fewer by chance: small is alarming.",
        remedy="Look at the bars of the groups. Train longer, or condition the sampling on the group.",
    ),
    "outcome_gap": Entry(
        title="Outcome in groups",
        unit="points",
        meaning="The rate of positive outcomes in a protected group, less the rate in the same real group: 0 is exact.",
        remedy="Train longer; look at the relation of the group to the target in the pair map.",
    ),
    "outcome_shift": Entry(
        title="Outcomes that moved",
        unit="p",
        meaning="Whether the rate of positive outcomes differs from the real one by more than is tolerated, overall or in "
        "any group. The number is the probability of such a difference by chance: small is alarming.",
        remedy="Look at the bars of the groups. Train longer, or check how the target is encoded.",
    ),
    "group_dependence": Entry(
        title="Relations within groups",
        unit="points",
        meaning="How much worse the cells of a row belong together in the synthetic rows of a protected group than in "
        "real rows of the same group, for the group where it is worst.",
        remedy="Small groups need more rows or longer training; condition the sampling on the group.",
    ),
}
"""One entry for each name in `validators.policy.LIMITS`."""

TERMS: Mapping[str, str] = {
    "Interval": "The range in which the true value may well lie, given so few rows. The gate never looks at the estimate "
    "alone: the bad end of the interval has to be inside the limit.",
    "Limit": "The bound that the policy sets in advance. A release needs every measurement inside its limit.",
    "Fresh real rows": "Real rows that no synthesizer saw, put through the same measurement in place of the synthetic "
    "ones. They are the best that any synthetic table could be expected to score.",
    "Cannot tell": "The interval crosses the limit: too few rows to say. It counts as little as a failure does: nothing is "
    "published.",
    "Pass": "Every measurement was taken and the bad end of every interval is inside its limit.",
}


def entry_of(name: str) -> Entry:
    """Return the entry of a measurement; one that is not in the glossary is called by its own name."""
    known = GLOSSARY.get(name)
    if known is not None:
        return known
    return Entry(
        title=name.replace("_", " ").replace(".", " · "), unit="plain", meaning="", remedy="See the log of the run."
    )
