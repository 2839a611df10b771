"""An optimiser that makes the momentum of a matrix orthogonal before it moves the matrix; all else moves by AdamW.

A matrix is moved along the nearest semi-orthogonal matrix to its momentum, U V^T of the singular value decomposition
U S V^T, so that directions with small gradients are learnt as fast as the others (Jordan et al. 2024, "Muon: an
optimizer for hidden layers in neural networks"; Liu et al. 2025, arXiv 2502.16982, section 2.1). It is found by
Newton-Schulz steps, which are matrix products alone.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # of the quintic in Jordan et al.: steepest at 0, singular values end in 0.7-1.2
NEWTON_SCHULZ_STEPS = 5
SMALLEST = 1e-7  # norm that is added, for a momentum of zeros
MOMENTUM = 0.95
BETAS = (0.9, 0.98)


class MatrixMomentum(Optimizer):
    """Muon for `matrices`, AdamW for `others`; a checkpoint of it holds tensors alone.

    Args:
        matrices: two-dimensional parameters of hidden layers.
        others: everything else: tables, vectors, heads.
        matrix_rate, rate: the peaks of both learning rates; a move of a matrix has about unit spectral norm.
        weight_decay: decoupled, on matrices and on other parameters of two dimensions or more.
        precision: in which the moves of matrices are computed; they need little of it.

    """

    def __init__(
        self,
        matrices: Sequence[nn.Parameter],
        others: Sequence[nn.Parameter],
        *,
        matrix_rate: float,
        rate: float,
        weight_decay: float,
        precision: torch.dtype,
    ) -> None:
        """Begin without momentum."""
        wide = [parameter for parameter in others if parameter.ndim > 1]
        flat = [parameter for parameter in others if parameter.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": list(matrices), "lr": matrix_rate, "weight_decay": weight_decay, "orthogonal": True},
            {"params": wide, "lr": rate, "weight_decay": weight_decay, "orthogonal": False},
            {"params": flat, "lr": rate, "weight_decay": 0.0, "orthogonal": False},
        ]
        self.precision = precision
        super().__init__([group for group in groups if group["params"]], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        assert closure is None
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["orthogonal"]:
                for matrix in moved:
                    self._move(matrix, group["lr"], group["weight_decay"])
            else:
                self._move_others(moved, group["lr"], group["weight_decay"])

    def _move(self, matrix: nn.Parameter, rate: float, weight_decay: float) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum"] = torch.zeros_like(matrix)
        gradient = matrix.grad
        assert gradient is not None
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        ahead = torch.lerp(gradient, state["momentum"], MOMENTUM)
        rows, columns = matrix.shape
        matrix.mul_(1 - rate * weight_decay)
        matrix.add_(
            orthogonal(ahead.to(self.precision)).to(matrix.dtype), alpha=-rate * max(1.0, rows / columns) ** 0.5
        )

    def _move_others(self, parameters: list[nn.Parameter], rate: float, weight_decay: float) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["mean"] = torch.zeros_like(parameter)
                state["square"] = torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            [parameter.data for parameter in parameters],
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=rate,
            weight_decay=weight_decay,
            eps=1e-8,
            maximize=False,
        )


def orthogonal(matrix: Tensor) -> Tensor:
    """Return roughly U V^T of `matrix` = U S V^T, R C; a matrix of zeros stays one."""
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + SMALLEST)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = x.T if tall else x
    return found
