"""The adversarial family beyond the conformance suite."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from generators.base import Budget, FitReport, GeneratorInputError, ignore_step
from generators.tabular import gan, gan_losses, gan_watch
from generators.tabular.codec import Token
from generators.tabular.gan_losses import Game, PairShares
from generators.tabular.gan_networks import Discriminator, Generator, one_hot
from generators.training import loop
from sources.dataset import Dataset
from sources.schema import Column, Schema

SMALL = {"latent": 8, "width": 32, "hidden": 64, "depth": 1}
SMALL_BOTH = {**SMALL, "discriminator_width": 32, "discriminator_hidden": 64, "discriminator_depth": 1}


def token(size: int, **changes: Any) -> Token:
    fields = {"column": "c", "level": "coarse", "size": size, "parent": None, "valid": None, "ranks": None}
    return Token(**{**fields, "emit": np.ones(size, dtype=bool), **changes})


def fine_token(valid: list[list[bool]]) -> Token:
    table = np.array(valid)
    return token(table.shape[1], level="fine", parent=0, valid=table, ranks=np.linspace(0, 1, table.shape[1]))


def networks(tokens: tuple[Token, ...]) -> tuple[Generator, Discriminator]:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        g_net = Generator(tokens, **SMALL)
        d_net = Discriminator(tokens, width=32, hidden=64, depth=1)
    return g_net, d_net


def seeded(seed: int) -> torch.Generator:
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def labels(cells: Any) -> pd.Series:
    return pd.Series(np.asarray(cells).astype(str), dtype=object)


def table(frame: dict[str, Any], **keys: Any) -> Dataset:
    columns = tuple(
        Column(name=name, kind="numeric" if pd.api.types.is_numeric_dtype(np.asarray(cells).dtype) else "categorical")
        for name, cells in frame.items()
    )
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns, **keys))


def fit(train: Dataset, folder: Path, steps: int | None, **options: Any) -> tuple[gan.Gan, FitReport]:
    synthesizer = gan.build(gan.Config(**{**SMALL_BOTH, "batch_size": 256, "correct": False, **options}))
    budget = Budget(steps=steps)
    return synthesizer, synthesizer.fit(train, seed=1, budget=budget, run_dir=folder, on_step=ignore_step)


def answers(n: int, seed: int) -> Dataset:
    """Two columns of four labels, equal in three rows of four beside what chance adds."""
    rng = np.random.default_rng(seed)
    first, other = rng.integers(0, 4, size=(2, n))
    return table({"a": labels(first), "b": labels(np.where(rng.uniform(size=n) < 0.75, first, other))})


# ---------------------------------------------------------------------- draws


def test_relaxed_draws_are_one_hot_follow_the_logits_and_have_a_gradient() -> None:
    g_net, _ = networks((token(3), fine_token([[True, True], [True, False], [True, True]])))
    rows = torch.tensor([[0, 0]] * 50 + [[0, 1]] * 150 + [[1, 0]] * 200 + [[2, 0]] * 300 + [[2, 1]] * 100)
    g_net.begin_at(rows)
    logits = g_net(g_net.noise(40_000, seeded(1))).detach().requires_grad_()
    drawn = g_net.relaxed(logits, 1.0, seeded(2))
    drawn[:, 0].sum().backward()
    assert set(drawn.detach().round(decimals=5).unique().tolist()) == {0.0, 1.0}
    both = drawn.detach()[:, :3].argmax(1) * 2 + drawn.detach()[:, 3:].argmax(1)
    shares = torch.bincount(both, minlength=6) / len(both)
    expected = torch.tensor([50, 150, 200, 0, 300, 100]) / 800
    assert shares[3] == 0  # the second coarse token has one fine one
    assert (shares - expected).abs().max() < 5 * (0.25 / 40_000) ** 0.5 + 0.002  # and half a row that is added to each
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) > 0


def test_sampling_never_emits_what_may_not_be_and_meets_the_frequencies() -> None:
    emit = np.array([True, True, False])
    g_net, _ = networks((token(3, emit=emit), fine_token([[True, True], [True, False], [True, True]])))
    rows = torch.tensor([[0, 0], [0, 1], [1, 0], [2, 0]]).repeat(100, 1)
    g_net.begin_at(rows)
    drawn = g_net.sample(3_000, seeded(3))
    assert drawn[:, 0].max() == 1
    assert not ((drawn[:, 0] == 1) & (drawn[:, 1] == 1)).any()
    assert abs(float((drawn[:, 0] == 0).float().mean()) - 2 / 3) < 0.005  # stratified draws are exact but for Laplace


# ---------------------------------------------------------------------- losses


def test_the_distance_of_pairs_is_the_sum_that_its_definition_says() -> None:
    tokens = (token(2, column="a"), token(3, column="b"))
    g_net, _ = networks(tokens)
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.integers(0, 2, 90), rng.integers(0, 3, 90)])
    probabilities = np.hstack([rng.dirichlet(np.ones(2), 8), rng.dirichlet(np.ones(3), 8)])
    real = np.hstack([np.eye(2)[rows[:, 0]], np.eye(3)[rows[:, 1]]])
    shares, expected = real.mean(0), 0.0
    for i in range(5):
        for j in range(5):
            if i != j and (i < 2) == (j < 2):
                continue
            differences = []
            for half in (probabilities[:4], probabilities[4:]):
                got = half[:, i].mean() if i == j else (half[:, i] * half[:, j]).mean()
                differences.append(got - (real[:, i] * real[:, j]).mean())
            count = shares[i] + gan_losses.SMOOTH if i == j else shares[i] * shares[j] + gan_losses.SMOOTH
            expected += differences[0] * differences[1] / count / 2  # two columns; two orders of the one pair
    found = PairShares(g_net, torch.from_numpy(rows), seed=0).distance(
        torch.from_numpy(probabilities).float(), seeded(1)
    )
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_the_distance_of_pairs_is_zero_on_average_for_rows_of_the_same_law() -> None:
    g_net, _ = networks((token(2, column="a"), token(3, column="b"), token(4, column="c")))
    generator = seeded(4)
    rows = torch.stack([torch.randint(size, (400,), generator=generator) for size in (2, 3, 4)], dim=1)
    rows[:, 1] = (rows[:, 0] + rows[:, 1]) % 3
    pairs = PairShares(g_net, rows, seed=0)
    hot = one_hot(rows, g_net.sizes)
    found = torch.stack(
        [pairs.distance(hot[torch.randint(400, (16,), generator=generator)], generator) for _ in range(2_000)]
    )
    assert abs(float(found.mean())) < 5 * float(found.std()) / 2_000**0.5
    assert float(found.std()) > 0


def test_a_wide_table_is_matched_in_groups_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gan_losses, "GROUP_TOKENS", 12)
    tokens = (*(token(5, column=str(number)) for number in range(6)), token(13, column="too large"))
    g_net, _ = networks(tokens)
    generator = seeded(5)
    rows = torch.stack([torch.randint(one.size, (200,), generator=generator) for one in tokens], dim=1)
    pairs = PairShares(g_net, rows, seed=0)
    grouped = [sorted(group.places.div(5, rounding_mode="floor").unique().tolist()) for group in pairs._groups]
    assert all(len(group) == 2 for group in grouped)
    assert len({tuple(group) for group in grouped}) > 3
    noisy = g_net.coarse_probabilities(g_net(g_net.noise(32, generator)))
    assert torch.isfinite(pairs.distance(noisy, generator))


def test_the_generator_s_loss_leaves_the_discriminator_without_a_gradient() -> None:
    g_net, d_net = networks((token(3),))
    rows = torch.tensor([[0], [1], [1], [2]] * 8)
    pairs = PairShares(g_net, rows, seed=0)
    game = Game(g_net=g_net, d_net=d_net, pair_shares=pairs, pair_weight=1.0, penalty=1.0, temperature=1.0)
    game.generator_loss((rows, rows, 0), seeded(6)).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in d_net.parameters())
    assert g_net.heads.bias.grad is not None
    g_net.zero_grad()
    game.discriminator_loss((rows, rows, 0), seeded(6)).backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in g_net.parameters())
    assert all(parameter.grad is not None for parameter in d_net.parameters())


# ---------------------------------------------------------------------- what is learnt


def test_the_game_alone_teaches_what_columns_have_to_do_with_each_other(tmp_path: Path) -> None:
    synthesizer, _ = fit(answers(2_000, seed=1), tmp_path, 200, pair_weight=0.0, penalty=0.01, validation_share=0.0)
    sample = synthesizer.sample(2_000, seed=2).frame
    assert (sample["a"] == sample["b"]).mean() > 0.5  # .81 in the law, .25 by chance


def test_every_mode_of_a_simulated_law_is_covered_and_little_lies_between(tmp_path: Path) -> None:
    """Eight narrow modes on a ring, each named by a label: mode collapse loses some or confuses them."""
    rng = np.random.default_rng(3)
    mode = rng.integers(0, 8, size=2_000)
    angle = 2 * np.pi * mode / 8
    x, y = (np.round(side + 0.05 * rng.normal(size=2_000), 3) for side in (np.cos(angle), np.sin(angle)))
    synthesizer, report = fit(table({"x": x, "y": y, "mode": labels(mode)}), tmp_path, 200, width=64, hidden=128)
    sample = synthesizer.sample(2_000, seed=2).frame
    at = 2 * np.pi * sample["mode"].astype(int) / 8
    near = np.hypot(sample["x"] - np.cos(at), sample["y"] - np.sin(at)) < 0.3
    shares = sample.loc[near, "mode"].value_counts() / len(sample)
    assert near.mean() > 0.3  # independent columns: about one in thirty
    assert shares.reindex([str(number) for number in range(8)], fill_value=0.0).min() > 1 / 8 / 8
    assert report.history[-1]["label_recall"] > 0.5
    assert report.history[-1]["mode_coverage"] > 0.9


def test_drawn_rows_are_nearer_to_fresh_ones_than_independent_columns_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    group = rng.integers(0, 4, size=2_000)
    frame = {"x": np.round(group + 0.3 * rng.normal(size=2_000), 2), "g": labels(group), "h": labels(group // 2)}
    train = table(frame)
    synthesizer, report = fit(train, tmp_path, 120)
    codec, g_net, _ = synthesizer._fitted  # type: ignore[misc]
    assert g_net is not None
    assert report.loss_unit == gan_watch.UNIT
    assert "h" in codec.derived  # what one column decides is not left to a network
    tokens = torch.from_numpy(codec.encode(train.frame).astype(np.int64))
    watch = gan_watch.Watch(codec.tokens, tokens[:1_000], seed=0)
    generator = seeded(1)
    mixed = torch.stack([column[torch.randperm(1_000, generator=generator)] for column in tokens[1_000:].T], dim=1)
    apart = float((watch._cells(mixed) - watch._real_cells).abs().sum(1).mean() / 2)
    assert float(watch.distance(g_net, generator)) < apart / 2


# ---------------------------------------------------------------------- what is watched


def test_equal_rows_are_at_no_distance_and_lost_labels_are_seen() -> None:
    tokens = (token(3, column="a"), token(4, column="b", ranks=np.linspace(0, 1, 4)))
    rows = torch.stack([torch.arange(600) % 3, torch.arange(600) % 4], dim=1)
    watch = gan_watch.Watch(tokens, rows, seed=0)
    assert float((watch._cells(rows) - watch._real_cells).abs().max()) == 0.0
    assert watch.recalls(rows) == {"a": 1.0}
    fewer = rows[(rows[:, 0] != 2) | (torch.arange(600) % 2 == 0)]  # a third of which every other one is gone
    assert watch.recalls(fewer)["a"] == pytest.approx((100 / 500) / (1 / 3))
    assert watch.recalls(rows[rows[:, 0] != 2]) == {"a": 0.0}
    assert watch._coverage(rows[rows[:, 0] != 2]) == pytest.approx(6 / 7)


@pytest.mark.parametrize(
    ("distance", "recall", "expected"),
    [(0.10, 0.9, False), (0.14, 0.9, False), (0.16, 0.9, True), (0.10, 0.1, True), (0.10, 0.3, False)],
)
def test_a_lost_label_or_a_jump_away_from_the_best_is_a_collapse(
    distance: float, recall: float, *, expected: bool
) -> None:
    best = {"validation_loss": 0.1, "label_recall": 0.8}
    last = {"validation_loss": distance, "label_recall": recall}
    assert gan_watch.collapsed([best, last]) is expected


def test_a_collapse_that_is_provoked_is_noticed_and_the_best_weights_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(loop.TrainingConfig.__init__.__kwdefaults__, "evaluate_every", 20)
    real = Game.generator_loss

    def spoilt(game: Game, batch: gan_losses.Batch, generator: torch.Generator) -> Tensor:
        if batch[2] >= 100:  # from then on the first label of each column gains whatever the game says
            with torch.no_grad():
                game.g_net.heads.bias[::4] += 1.0
        return real(game, batch, generator)

    monkeypatch.setattr(Game, "generator_loss", spoilt)
    synthesizer, report = fit(answers(2_000, seed=5), tmp_path, None, max_steps=600, ema_decay=0.9)
    assert any("collapsed by step" in note for note in report.notes)
    assert report.stopped_by == "early_stopping"
    assert report.steps < 600
    assert report.best == min(row["validation_loss"] for row in report.history)
    sample = synthesizer.sample(1_000, seed=6).frame
    assert all((sample[name] == label).mean() > 0.1 for name in ("a", "b") for label in "0123")


# ---------------------------------------------------------------------- what is kept, and what is refused


def test_the_discriminator_is_not_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    synthesizer, report = fit(table({"x": rng.normal(size=400), "y": rng.normal(size=400)}), tmp_path / "run", 3)
    synthesizer.save(tmp_path / "model")
    g_net = synthesizer._fitted[1]  # type: ignore[index]
    assert g_net is not None
    with safe_open(tmp_path / "model" / "weights.safetensors", framework="pt") as file:
        names = set(file.keys())
        saved = sum(file.get_tensor(name).numel() for name in names)
    assert names == {f"generator/{name}" for name in g_net.state_dict()}
    assert saved < report.parameters


def test_rows_of_one_entity_stay_on_one_side_of_the_validation_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = gan.hold_out

    def look(num_rows: int, **options: Any) -> np.ndarray:
        seen.append((options["groups"], real(num_rows, **options)))
        return np.asarray(seen[-1][1])

    monkeypatch.setattr(gan, "hold_out", look)
    people = pd.Series([f"P{row // 4:03d}" for row in range(200)], dtype=object)
    frame = pd.DataFrame({"who": people, "x": np.random.default_rng(4).normal(size=200)})
    columns = (Column(name="who", kind="id"), Column(name="x", kind="numeric"))
    fit(Dataset(frame=frame, schema=Schema(columns=columns, entity_key="who")), tmp_path, 2)
    groups, held = seen[0]
    assert list(groups) == list(people)
    assert held.any()
    assert pd.Series(held).groupby(people).nunique().max() == 1


@pytest.mark.parametrize(
    "options",
    [{"latent": 0}, {"temperature": 0.0}, {"penalty": -1.0}, {"validation_share": 1.0}, {"learning_rate": 0.0}],
)
def test_numbers_that_mean_nothing_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(GeneratorInputError, match=next(iter(options))):
        gan.Config(**options)
