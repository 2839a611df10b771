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
        meaning="How many rules of the data contract (types, ranges, allowed labels, missing cells, uniqueness and "
        "the author's own) the synthetic rows break. None may be broken.",
        remedy="See which rule broke. If real rows break it too, correct the rule in the spec; else train longer or "
        "choose another synthesizer.",
    ),
    "kway_1": Entry(
        title="Single columns",
        unit="points",
        meaning="Each column is cut into bins and labels; this is how much further the synthetic shares are from "
        "the real ones than the shares of fresh real rows are, averaged over columns. 0 is as good as fresh.",
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
        meaning="The part of one column's rows that would have to move to another bin or label to match the real "
        "column, beyond what chance does to fresh rows. Looked at column by column, because an average hides one "
        "spoilt column.",
        remedy="Look at the column's picture. Check its kind in the spec (a code taken for a number?), then train "
        "longer.",
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
        meaning="How well a model can tell whole synthetic rows from rows whose cells were mixed up, compared with "
        "real rows: what is lost when columns are drawn independently.",
        remedy="The synthesizer has learnt columns rather than rows: train longer or choose another family.",
    ),
    "c2st": Entry(
        title="Real or synthetic?",
        unit="plain",
        meaning="A classifier tries to tell synthetic rows from real ones (area under the ROC curve). 0.5 is a coin "
        "toss, 1 is always right; far below 0.5 means the synthetic rows are copies of the rows it learnt from.",
        remedy="Too high: train longer, and see which columns differ. Too low: the rows are copies, so fewer steps "
        "or more regularisation.",
    ),
    "tstr": Entry(
        title="Use for prediction",
        unit="plain",
        meaning="A model of the target is trained on synthetic rows and on real ones, both are tested on real rows "
        "that nobody has seen; this is what is lost by training on the synthetic ones.",
        remedy="Train longer; look at the pair map for columns that have lost their relation to the target.",
    ),
    "label_noise": Entry(
        title="Wrong labels",
        unit="points",
        meaning="The share of synthetic rows whose target contradicts the rest of the row, beyond the share among "
        "fresh real rows.",
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
        meaning="Whether a label, the missing cells, an end of a number (its outermost hundredth) or one whole row "
        "is there less than half as often as in real rows, or more than twice as often. The number is the "
        "probability of such a loss by chance: small is alarming.",
        remedy="See which value it is. Train longer; check clipping, rounding and the marks of missing cells.",
    ),
    "repeats": Entry(
        title="Repeated rows",
        unit="points",
        meaning="The share of synthetic rows that have an identical twin among the synthetic rows, less the share "
        "of real rows that have one among as many real rows.",
        remedy="Draw rows anew instead of repeating them; a synthesizer that repeats itself has collapsed: train it "
        "again.",
    ),
    "near_twins": Entry(
        title="Near twins",
        unit="p",
        meaning="How likely it is by chance that so many synthetic rows have another synthetic row nearly like "
        "them, compared with real rows among each other. Small means: a few rows stand for many.",
        remedy="Let the fit see more steps; a sampler that repeats itself, or a table that was padded, must be "
        "drawn anew.",
    ),
    "image_repeats": Entry(
        title="Repeated pictures",
        unit="p",
        meaning="How likely it is by chance that so many synthetic pictures are near copies of other synthetic "
        "pictures, compared with real pictures among each other. Small means: a few pictures stand for many.",
        remedy="Train longer or with more noise in the sampler; a generator that has collapsed onto a few pictures, or "
        "a sample that was padded, must be drawn anew.",
    ),
    "missingness": Entry(
        title="Missing cells",
        unit="p",
        meaning="How likely it is by chance that cells are missing together, and missing with the other columns, as "
        "differently as they are from real rows. Small means: the pattern of the gaps is not the real one.",
        remedy="Choose a synthesizer that models missing cells as a state of their own (tabular.autoregressive); do "
        "not fill gaps before the fit.",
    ),
    "precision": Entry(
        title="Likely rows",
        unit="points",
        meaning="How many more synthetic rows lie where no real row is near than fresh real rows do: rows that "
        "could not have been real. 0 is as good as fresh.",
        remedy="Give the fit more time; see at the map of rows where the unlikely ones are.",
    ),
    "recall": Entry(
        title="Covered rows",
        unit="points",
        meaning="How many more real rows have no synthetic row near them than they would among fresh real rows: "
        "parts of reality that the synthetic table leaves out. 0 is as good as fresh.",
        remedy="The synthesizer leaves out part of the data (mode collapse, clipped tails): train longer, or use "
        "another family.",
    ),
    "time_order": Entry(
        title="Order of rows",
        unit="p",
        meaning="How likely it is by chance that the values of a column hang together from one row to the next as "
        "differently as they do, along the column that orders the rows. Small means: the order was lost.",
        remedy="Row by row models do not know an order: leave the order key out of the promise, or use a sequence "
        "model.",
    ),
    "image_kid": Entry(
        title="Distance of pictures",
        unit="percent",
        meaning="How far synthetic pictures are from unseen real ones in the eyes of small networks that learnt "
        "from other real pictures, as a part of how much real pictures differ among themselves. 0 is as "
        "good as fresh.",
        remedy="Give the fit more time or a larger network; look at the contact sheet for what is odd.",
    ),
    "image_frechet": Entry(
        title="Fréchet distance of pictures",
        unit="ratio",
        meaning="The distance that papers call FID, with networks made from this very source, divided by the "
        "distance of as many training pictures to unseen real ones. 1 is as good as fresh.",
        remedy="Give the fit more time or a larger network.",
    ),
    "image_density": Entry(
        title="Density of pictures",
        unit="plain",
        meaning="How much less crowded by real pictures the places are where synthetic pictures lie than those of "
        "fresh real pictures: odd pictures lie where few real ones are. 0 is as good as fresh.",
        remedy="Give the fit more time; guidance or a lower temperature in sampling gives more typical pictures.",
    ),
    "image_coverage": Entry(
        title="Covered pictures",
        unit="points",
        meaning="How many more of the unseen real pictures have no synthetic picture near them than they would "
        "among fresh real pictures. 0 is as good as fresh.",
        remedy="The synthesizer leaves out part of the pictures (mode collapse): train longer, or use another family.",
    ),
    "image_precision": Entry(
        title="Likely pictures",
        unit="points",
        meaning="How many more synthetic pictures lie off all unseen real ones than fresh real pictures do: "
        "pictures that could not have been real. 0 is as good as fresh.",
        remedy="Give the fit more time; guidance or a lower temperature in sampling gives more typical pictures.",
    ),
    "image_recall": Entry(
        title="Variety of pictures",
        unit="points",
        meaning="How many more of the unseen real pictures lie off all synthetic ones than they would lie off fresh"
        " real pictures: variety that was lost. 0 is as good as fresh.",
        remedy="Blurred or averaged pictures have lost variety: train longer, use less guidance, or another family.",
    ),
    "image_c2st": Entry(
        title="Pictures told apart",
        unit="plain",
        meaning="How well synthetic pictures can be told from real ones by features, by pixels and by their nearest"
        " neighbour. One half is chance; near 1 something gives them away; well below one half they are "
        "copies.",
        remedy="Above: look at the contact sheet for noise, blur and borders. Below: the synthesizer repeats its "
        "training pictures; train shorter, or give more of them.",
    ),
    "image_agreement": Entry(
        title="Pictures show their labels",
        unit="points",
        meaning="How much more often a network that learnt the labels from other real pictures disagrees with the "
        "label of a synthetic picture than with that of a real one. 0 is as good as fresh.",
        remedy="Train longer, or with stronger guidance by the labels.",
    ),
    "image_tstr": Entry(
        title="Learning from pictures",
        unit="points",
        meaning="How many more unseen real pictures a classifier gets wrong when it has learnt from synthetic "
        "pictures rather than from as many real ones. 0 is as good as real.",
        remedy="Wrong labels and lost variety both cost here: see the checks of labels and of variety.",
    ),
    "image_modes": Entry(
        title="Kinds of pictures",
        unit="p",
        meaning="How likely it is by chance that a kind of picture (a cluster, or what a network reads as one "
        "label) is less than half or more than twice as frequent as among real ones. Small means: a kind "
        "was lost, or one repeats.",
        remedy="Train longer, or use a family that does not lose modes (autoregressive).",
    ),
    "image_sharpness": Entry(
        title="Sharpness",
        unit="ratio",
        meaning="How much coarse, middle and fine detail synthetic pictures have, relative to real ones. Under 1 "
        "they are blurred, over 1 noisy. 1 is as good as fresh.",
        remedy="Blur is what averaging models give: use a GAN or an autoregressive family, or train longer.",
    ),
    "exact_copies": Entry(
        title="Exact copies",
        unit="p",
        meaning="Whether synthetic rows equal training rows more often than they equal real rows the synthesizer "
        "never saw. Common rows coincide by chance; more than that is somebody's record. The number is the "
        "probability of so many or more if nothing had leaked: small is alarming. It is 0 where an e-mail address or "
        "another personal key of a real row stands in a synthetic one.",
        remedy="Stop training earlier, add regularisation, or leave out columns that single people out by drop: true "
        "(names, ids, free text); personal details are made anew under pii.",
    ),
    "excess_matches": Entry(
        title="Excess matches",
        unit="p",
        meaning="Whether training rows have a very close synthetic neighbour more often than real rows the "
        "synthesizer never saw. The number is the probability of so many or more if nothing had leaked: small is "
        "alarming.",
        remedy="Stop training earlier (fewer steps), add dropout, use more rows, or choose a family that memorises "
        "less.",
    ),
    "atypical_matches": Entry(
        title="Matches of unusual rows",
        unit="p",
        meaning="The same for the most unusual rows alone, since a strange record is the one that somebody recognises.",
        remedy="Drop or coarsen the columns that make rows unique (rare labels, exact amounts), or stop training "
        "earlier.",
    ),
    "detectable_leak": Entry(
        title="Smallest leak that shows",
        unit="percent",
        meaning="The smallest part of the training rows whose copying these tests would have noticed. A test that "
        "could not have seen a leak has not shown that there is none.",
        remedy="Only more real rows help, above all in the holdout.",
    ),
    "dcr_share": Entry(
        title="Nearer to the training rows",
        unit="plain",
        meaning="The share of synthetic rows whose nearest real row is one the synthesizer learnt from, out of as "
        "many learnt as unseen rows. One half is what fresh rows score; above it the rows lean on their models.",
        remedy="Stop training earlier, add dropout, or use more rows.",
    ),
    "membership": Entry(
        title="Membership",
        unit="percent",
        meaning="Of the training rows, how many the best of several attackers picks out who sees only the synthetic "
        "rows, when he may accuse one fresh row in a hundred wrongly. Guessing picks out one percent.",
        remedy="The synthesizer remembers its rows: fewer steps, more dropout, more rows. Look at the curve of "
        "attacks in the private report.",
    ),
    "membership_atypical": Entry(
        title="Membership of unusual rows",
        unit="percent",
        meaning="The same among the most unusual rows, which are recognised first, when one fresh row in twenty may "
        "be accused wrongly. Guessing picks out five percent.",
        remedy="As for membership; pooling rare labels and capping extremes before the fit helps unusual people most.",
    ),
    "attribute_inference": Entry(
        title="Guessing a secret",
        unit="points",
        meaning="How much more often an attacker who knows all else about a person guesses a secret column right "
        "from the synthetic rows when the person was in the training rows than when not.",
        remedy="The synthesizer remembers whole rows: fewer steps, more dropout, more rows; or leave the secret "
        "column out.",
    ),
    "singling_out": Entry(
        title="Singling out",
        unit="points",
        meaning="How much more often a description read off the synthetic rows fits exactly one training row than "
        "it fits exactly one of as many fresh rows.",
        remedy="The synthesizer emits rare combinations that it has seen: pool rare labels, fewer steps, more dropout.",
    ),
    "linkability": Entry(
        title="Linking",
        unit="points",
        meaning="How much more often two halves of a training row lead to the same synthetic row than two halves of "
        "a fresh row do: whether two data sets could be joined through the release.",
        remedy="The synthesizer remembers whole rows: fewer steps, more dropout, more rows.",
    ),
    "group_matches": Entry(
        title="Matches within groups",
        unit="p",
        meaning="The test for rows that come too near to training rows, made within each protected group by itself: "
        "a leak of one small group must not hide among the others. Small means: its rows are remembered.",
        remedy="Small groups are remembered first: pool them, give them more rows, or train shorter.",
    ),
    "controls": Entry(
        title="Working instruments",
        unit="plain",
        meaning="Copies were planted among the synthetic rows and had to be found; the training rows were compared "
        "with themselves and no alarm was allowed. Otherwise nothing the privacy tests say counts.",
        remedy="The split into training rows and holdout is not random, or the table is such that copies cannot be "
        "seen: split anew.",
    ),
    "canaries": Entry(
        title="Planted rows",
        unit="p",
        meaning="Made-up rows were planted among the training rows; this is how likely it is by chance that "
        "synthetic rows come as near to them as they do, compared with made-up rows that were not planted. Small "
        "means: rows are remembered.",
        remedy="The synthesizer remembers single rows: give it fewer steps, more dropout or more rows.",
    ),
    "image_matches": Entry(
        title="Memorised pictures",
        unit="p",
        meaning="Whether training pictures are found again among the synthetic ones, as they stand, mirrored, moved, "
        "cropped, compressed or with other brightness, more often than chance and than pictures the synthesizer never "
        "saw. The number is the probability of so many or more if nothing had leaked: small is alarming.",
        remedy="Stop training earlier, use augmentation and dropout, use more pictures; on a few hundred pictures "
        "choose a smaller network. Look at the pictures whose positions the private report names.",
    ),
    "image_leak": Entry(
        title="Smallest leak of pictures seen",
        unit="percent",
        meaning="The share of the training pictures that would have to be copied for the test to be nearly sure to see "
        "it. A large share means: the test was too weak to show that nothing leaked.",
        remedy="Set more pictures aside (holdout and reference), or give more pictures.",
    ),
    "image_controls": Entry(
        title="Live controls of pictures",
        unit="plain",
        meaning="How many of the judges of pictures fail on these very pictures: copies planted among the synthetic "
        "ones must be found, and no alarm may be raised where there is nothing to find.",
        remedy="If planted copies are not found, or the split is not random, give more pictures or name the column "
        "that says which pictures belong to one person (entity_key).",
    ),
    "image_group_matches": Entry(
        title="Memorised pictures by group",
        unit="p",
        meaning="The same within each protected group, corrected for their number: a leak of the few pictures of a "
        "small group drowns among all the others.",
        remedy="As for memorised pictures; give more pictures of that group.",
    ),
    "image_copies": Entry(
        title="Exact copies of pictures",
        unit="p",
        meaning="Whether training pictures stand among the synthetic ones pixel for pixel, mirrored or not, more often "
        "than chance explains. Small is alarming.",
        remedy="A generator that emits its training pictures must not be released: fewer steps, more augmentation.",
    ),
    "image_membership": Entry(
        title="Membership by pictures",
        unit="ratio",
        meaning="How many times as many training pictures as chance would find an attacker recognises who holds the "
        "synthetic pictures and may be wrong about one in a hundred of the others (one in twenty where there are fewer "
        "than a thousand).",
        remedy="Stop training earlier, use augmentation and dropout, or give more pictures.",
    ),
    "representation": Entry(
        title="Size of groups",
        unit="ratio",
        meaning="The share of a protected group among the synthetic rows, as a multiple of its share among real "
        "ones: 1 is exact, 0.5 is halved, 0 is erased.",
        remedy="Train longer; small groups need more rows, or a coarser grouping in the spec.",
    ),
    "group_loss": Entry(
        title="Groups that shrank",
        unit="p",
        meaning="Whether any group, or combination of groups, has clearly fewer rows than real data would give it. "
        "The number is the probability of so few or fewer by chance: small is alarming.",
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
        meaning="Whether the rate of positive outcomes differs from the real one by more than is tolerated, overall "
        "or in any group. The number is the probability of such a difference by chance: small is alarming.",
        remedy="Look at the bars of the groups. Train longer, or check how the target is encoded.",
    ),
    "group_dependence": Entry(
        title="Relations within groups",
        unit="points",
        meaning="How much worse the cells of a row belong together in the synthetic rows of a protected group than "
        "in real rows of the same group, for the group where it is worst.",
        remedy="Small groups need more rows or longer training; condition the sampling on the group.",
    ),
    "group_shape": Entry(
        title="Columns within groups",
        unit="points",
        meaning="Each column within each protected group: how much further the synthetic shares are from the real "
        "ones than shares of fresh real rows are, for the group where it is worst.",
        remedy="Small groups need more rows or longer training; condition the sampling on the group.",
    ),
    "group_column": Entry(
        title="One column within a group",
        unit="p",
        meaning="How likely it is by chance that a column of a group is spread as differently as it is, but for a "
        "twentieth of the group. Small means: something about a group is wrong.",
        remedy="See which group and column it is; more rows of the group or longer training.",
    ),
    "bias_amplification": Entry(
        title="Amplified bias",
        unit="points",
        meaning="How much stronger outcomes and groups go together in the synthetic rows than in the real ones "
        "(directional bias amplification). Below 0 it is weaker.",
        remedy="The synthesizer exaggerates what it has seen: train longer, or sample with equal outcome rates and "
        "say so.",
    ),
    "widened_gaps": Entry(
        title="Widened gaps",
        unit="p",
        meaning="How likely it is by chance that the gaps between groups in the rate of outcomes are wider than the "
        "real ones by as much as they are, a fifth being allowed. Small means: inequality was added.",
        remedy="See which groups; sample with the group given, or give the fit more time.",
    ),
    "parity_shift": Entry(
        title="Parity of a recipient's model",
        unit="points",
        meaning="A model trained on synthetic rows treats groups unequally (difference of its rates of positive "
        "answers); this is how much more than a model trained on as many real rows.",
        remedy="See which group suffers; more training, or sampling with equal outcome rates, stated on the card.",
    ),
    "odds_shift": Entry(
        title="Equal odds of a recipient's model",
        unit="points",
        meaning="A model trained on synthetic rows errs more often on some groups than on others; this is how much "
        "more than a model trained on as many real rows.",
        remedy="See which group suffers; more training, or more rows of the group.",
    ),
    "image_group_coverage": Entry(
        title="Covered pictures of groups",
        unit="points",
        meaning="The same as for covered pictures, among the pictures of one protected group: the group that is "
        "served worst.",
        remedy="Give the model more pictures of the group, or train longer.",
    ),
    "image_group_agreement": Entry(
        title="Labels of groups' pictures",
        unit="points",
        meaning="How much more often a network disagrees with the labels of one group's synthetic pictures, or with"
        " their belonging to it, than with those of real ones: the group that is served worst.",
        remedy="Give the model more pictures of the group, train longer, or with stronger guidance by the attributes.",
    ),
}
"""One entry for each name in `validators.policy.LIMITS`."""

TERMS: Mapping[str, str] = {
    "Interval": "The range in which the true value may well lie, given so few rows. The gate never looks at the "
    "estimate alone: the bad end of the interval has to be inside the limit.",
    "Limit": "The bound that the policy sets in advance. A release needs every measurement inside its limit.",
    "Fresh real rows": "Real rows that no synthesizer saw, put through the same measurement in place of the "
    "synthetic ones. They are the best that any synthetic table could be expected to score.",
    "Cannot tell": "The interval crosses the limit: too few rows to say. It counts as little as a failure does: "
    "nothing is published.",
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
