"""The variational autoencoder beyond the conformance suite."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from generators.base import Budget, GeneratorInputError, ignore_step
from generators.tabular import vae
from generators.tabular.codec import Token
from sources.dataset import Dataset
from sources.schema import Column, Schema

SMALL = {"latent": 4, "width": 32, "hidden": 64, "depth": 1, "embedding": 4, "components": 6}


def decoder_of(tokens: tuple[Token, ...], components: int = 6) -> vae.Decoder:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        return vae.Decoder(tokens, components, vae.Config(**SMALL)).eval()


def token(size: int, **changes: Any) -> Token:
    fields = {"column": "c", "level": "coarse", "size": size, "parent": None, "valid": None, "ranks": None}
    return Token(**{**fields, "emit": np.ones(size, dtype=bool), **changes})


def fit(frame: dict[str, Any], folder: Path, steps: int, **options: Any) -> tuple[vae.Vae, Any]:
    kinds = (
        "numeric" if pd.api.types.is_numeric_dtype(np.asarray(cells).dtype) else "categorical"
        for cells in frame.values()
    )
    columns = tuple(Column(name=name, kind=kind) for name, kind in zip(frame, kinds, strict=True))  # type: ignore[arg-type]
    train = Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns))
    synthesizer = vae.build(vae.Config(**{**SMALL, **options}))
    budget = Budget(steps=steps)
    return synthesizer, synthesizer.fit(train, seed=1, budget=budget, run_dir=folder, on_step=ignore_step)


def test_the_prior_is_the_mixture_that_torch_knows() -> None:
    decoder = decoder_of((token(3),))
    generator = torch.Generator()
    generator.manual_seed(1)
    with torch.no_grad():
        decoder.prior_logits.copy_(torch.randn(6, generator=generator))
        decoder.prior_log_variances.copy_(torch.randn(6, 4, generator=generator))
    z = 2 * torch.randn(50, 4, generator=generator)
    normals = torch.distributions.Normal(decoder.prior_means, torch.exp(decoder.prior_log_variances / 2))
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(logits=decoder.prior_logits), torch.distributions.Independent(normals, 1)
    )
    torch.testing.assert_close(decoder.log_prior(z), mixture.log_prob(z))


def test_light_components_are_dropped_and_one_always_stays() -> None:
    decoder = decoder_of((token(3),))
    weights = torch.tensor([0.4, 0.3, 0.2, 0.06, 0.03, 0.01])
    decoder.prior_logits.data = weights.log()
    decoder.drop_components(0.05)
    torch.testing.assert_close(torch.softmax(decoder.prior_logits, 0), weights[:4] / weights[:4].sum())
    assert decoder.prior_means.shape == decoder.prior_log_variances.shape == (4, 4)
    decoder.drop_components(0.9)
    assert decoder.num_components == 1


def test_the_posterior_s_log_variance_is_bounded_whatever_the_weights() -> None:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        encoder = vae.Encoder((token(3), token(2)), vae.Config(**SMALL))
    with torch.no_grad():
        encoder.posterior.weight.mul_(1e6)
    _, log_variance = encoder(torch.tensor([[0, 1], [2, 0], [1, 1]]))
    low, high = vae.LOG_VARIANCE
    assert log_variance.min() >= low
    assert log_variance.max() <= high


def test_tokens_that_may_not_be_emitted_or_do_not_exist_are_never_drawn() -> None:
    valid = np.array([[True, False, False], [True, True, True], [True, True, False]])
    coarse = token(3, emit=np.array([True, True, False]))
    fine = token(3, level="fine", parent=0, valid=valid)
    decoder = decoder_of((coarse, fine))
    decoder.begin_at(torch.tensor([[2, 2], [2, 2], [2, 2], [0, 2], [1, 1]]))  # what is forbidden is the most frequent
    generator = torch.Generator()
    generator.manual_seed(1)
    rows = decoder.sample(4_000, generator).numpy()
    assert set(rows[:, 0]) == {0, 1}
    assert valid[rows[:, 0], rows[:, 1]].all()


def test_logits_begin_at_the_marginals() -> None:
    decoder = decoder_of((token(2), token(3)))
    rows = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 2]])
    decoder.begin_at(rows)
    logits = decoder(torch.zeros(1, 4), rows[:1])
    first, second = logits.detach().split((2, 3), dim=1)
    torch.testing.assert_close(torch.softmax(first, 1)[0], torch.tensor([3.5, 1.5]) / 5)
    torch.testing.assert_close(torch.softmax(second, 1)[0], torch.tensor([1.5, 1.5, 2.5]) / 5.5)


def test_learns_that_three_columns_are_a_parity_though_any_two_are_independent(tmp_path: Path) -> None:
    """Independent columns keep the parity in half of the rows; 5 standard errors above 0.8 is far from that."""
    rng = np.random.default_rng(1)
    n = 1_000
    a, b = rng.integers(2, size=(2, n))
    words = [pd.Series(np.array(["no", "yes"], dtype=object)[x], dtype=object) for x in (a, b, a ^ b)]
    synthesizer, report = fit(dict(zip("abc", words, strict=True)), tmp_path, 300, components=32)
    made = synthesizer.sample(n, seed=2).frame == "yes"
    kept = ((made["a"] ^ made["b"]) == made["c"]).mean()
    assert kept > 0.8 + 5 * np.sqrt(0.8 * 0.2 / n)
    assert report.best < 3 * np.log(2) - 0.3  # nats per row: less than three coins, which two would be 1.39
    assert report.steps == 300


def test_a_blanked_row_hides_the_asked_share_and_changes_nothing_else() -> None:
    """Shares are uniform in [0, 2 b]: mean b, variance of a row's mean b^2 / 3 + (b - 4 b^2 / 3) / T."""
    rows, unknown = torch.ones((5_000, 10), dtype=torch.int64), torch.full((10,), 7)
    generator = torch.Generator()
    generator.manual_seed(1)
    blanked = vae._blanked(rows, unknown, 0.3, generator)
    hidden = blanked == 7
    assert torch.equal(blanked[~hidden], rows[~hidden])
    variance = 0.3**2 / 3 + (0.3 - 4 * 0.3**2 / 3) / 10
    assert abs(float(hidden.float().mean()) - 0.3) < 5 * (variance / 5_000) ** 0.5
    assert torch.equal(vae._blanked(rows, unknown, 0.0, generator), rows)


def test_the_encoder_is_not_saved(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    synthesizer, report = fit({"x": rng.normal(size=200), "y": rng.normal(size=200)}, tmp_path / "run", 3)
    synthesizer.save(tmp_path / "model")
    with safe_open(tmp_path / "model" / "weights.safetensors", framework="pt") as file:
        names = {name.removeprefix("decoder/").split(".")[0] for name in file.keys()}  # noqa: SIM118 - the handle is no mapping
        saved = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118
    assert names == {"prior_logits", "prior_means", "prior_log_variances", "input", "trunk", "heads"}
    assert saved < report.parameters


def test_no_component_stands_for_fewer_than_twenty_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    synthesizer, _ = fit({"x": rng.normal(size=300), "y": rng.normal(size=300)}, tmp_path, 20, components=250)
    decoder = synthesizer._fitted[1]  # type: ignore[index]
    assert decoder is not None
    assert 1 <= decoder.num_components <= 300 // vae.ROWS_PER_COMPONENT
    assert float(torch.softmax(decoder.prior_logits.detach(), 0).min()) * 300 >= vae.PRIOR_ROWS


def test_rows_of_one_entity_stay_on_one_side_of_the_validation_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    real = vae.hold_out

    def watch(num_rows: int, **options: Any) -> np.ndarray:
        seen.append((options["groups"], real(num_rows, **options)))
        return np.asarray(seen[-1][1])

    monkeypatch.setattr(vae, "hold_out", watch)
    rng = np.random.default_rng(4)
    people = pd.Series([f"P{row // 4:03d}" for row in range(200)], dtype=object)
    frame = pd.DataFrame({"who": people, "x": rng.normal(size=200)})
    columns = (Column(name="who", kind="id"), Column(name="x", kind="numeric"))
    train = Dataset(frame=frame, schema=Schema(columns=columns, entity_key="who"))
    synthesizer = vae.build(vae.Config(**SMALL))
    synthesizer.fit(train, seed=1, budget=Budget(steps=2), run_dir=tmp_path, on_step=ignore_step)
    groups, held = seen[0]
    assert list(groups) == list(people)
    assert held.any()
    assert pd.Series(held).groupby(people).nunique().max() == 1


@pytest.mark.parametrize(
    "options",
    [
        {"latent": 0},
        {"dropout": 1.0},
        {"blank": 0.7},
        {"validation_share": -0.1},
        {"kl_warmup_steps": -1},
        {"learning_rate": 0.0},
    ],
)
def test_numbers_that_mean_nothing_are_refused_by_name(options: dict[str, Any]) -> None:
    with pytest.raises(GeneratorInputError, match=next(iter(options))):
        vae.Config(**options)
