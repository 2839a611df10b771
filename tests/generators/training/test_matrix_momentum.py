"""Moves of matrices have equal singular values; everything else moves as by AdamW."""

import pytest
import torch
from torch import nn

from generators.training import checkpoint
from generators.training.matrix_momentum import BETAS, MatrixMomentum, orthogonal


def randn(*shape: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator()
    generator.manual_seed(seed)
    return torch.randn(shape, generator=generator)


def optimizer(matrix: nn.Parameter, table: nn.Parameter, vector: nn.Parameter) -> MatrixMomentum:
    return MatrixMomentum(
        [matrix], [table, vector], matrix_rate=0.1, rate=0.01, weight_decay=0.1, precision=torch.float32
    )


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12)])
def test_the_move_is_near_the_orthogonal_factor_of_the_svd(shape: tuple[int, int]) -> None:
    u, s, v = torch.linalg.svd(randn(*shape), full_matrices=False)
    matrix = u @ torch.diag(torch.linspace(1, 10, len(s))) @ v
    found = orthogonal(matrix)
    values = torch.linalg.svdvals(found)
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3
    exact = u @ v
    assert float((found * exact).sum() / (found.norm() * exact.norm())) > 0.97
    assert float((matrix * exact).sum() / (matrix.norm() * exact.norm())) < 0.97  # else it shows nothing


def test_a_matrix_without_gradient_of_any_size_stays() -> None:
    assert torch.equal(orthogonal(torch.zeros(3, 4)), torch.zeros(3, 4))


def test_tables_and_vectors_move_as_by_adamw() -> None:
    mine = [nn.Parameter(randn(4, 4)), nn.Parameter(randn(5, 3)), nn.Parameter(randn(7))]
    theirs = [nn.Parameter(parameter.detach().clone()) for parameter in mine[1:]]
    own = optimizer(*mine)
    reference = torch.optim.AdamW(
        [{"params": theirs[:1], "weight_decay": 0.1}, {"params": theirs[1:], "weight_decay": 0.0}], lr=0.01, betas=BETAS
    )
    for step in range(4):
        for parameter, other in zip(mine[1:], theirs, strict=True):
            parameter.grad = randn(*parameter.shape, seed=step)
            other.grad = parameter.grad.clone()
        mine[0].grad = randn(4, 4, seed=step)
        own.step()
        reference.step()
    for parameter, other in zip(mine[1:], theirs, strict=True):
        torch.testing.assert_close(parameter, other)


def test_a_state_that_was_kept_goes_on_to_the_same_bytes() -> None:
    def begun() -> tuple[list[nn.Parameter], MatrixMomentum]:
        parameters = [nn.Parameter(randn(4, 6)), nn.Parameter(randn(5, 3)), nn.Parameter(randn(7))]
        return parameters, optimizer(*parameters)

    def step(parameters: list[nn.Parameter], own: MatrixMomentum, seed: int) -> None:
        for parameter in parameters:
            parameter.grad = randn(*parameter.shape, seed=seed)
        own.step()

    parameters, own = begun()
    for number in range(3):
        step(parameters, own, number)
    kept = {name: tensor.clone() for name, tensor in checkpoint.optimizer_state(own).items()}
    others, resumed = begun()
    for parameter, other in zip(parameters, others, strict=True):
        other.data.copy_(parameter.data)
    checkpoint.load_optimizer_state(resumed, kept)
    step(parameters, own, 9)
    step(others, resumed, 9)
    assert all(torch.equal(a, b) for a, b in zip(parameters, others, strict=True))
    assert not torch.equal(parameters[0], begun()[0][0])
