"""Optimisers: AdamW, or Muon for matrices and kernels with AdamW for the rest.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) makes the update of a matrix
orthogonal, so that every direction learns at the same pace. PyTorch's takes matrices alone, and
most weights of a convolutional network are kernels: it gets every kernel as a matrix with one row
for each output channel. On generated textures that learns far more in as many minutes than AdamW
does, or Muon with AdamW for the kernels (`python -m benchmarks.training`).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

# Embeddings are tables of vectors, of which a batch touches few, and no linear maps.
TABLES = ("token_embedding", "positional_embedding", "class_embedding")
# Radford et al. 2021, table 18.
ADAMW: dict[str, Any] = {"lr": 0.0, "betas": (0.9, 0.98), "eps": 1e-6}


def adamw(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW of all weights; matrices and kernels decay, biases, norms and scales do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, **ADAMW)


def is_linear_map(name: str, parameter: Tensor) -> bool:
    """Whether a weight of this name is a matrix or a kernel that maps linearly."""
    return parameter.ndim >= 2 and not any(part in TABLES for part in name.split("."))


class MuonWithAdamW:
    """Muon and AdamW behind the interface of one optimiser.

    takes: which weights Muon gets, by name; these decay, AdamW's do not. A single learning rate
    serves both: Muon's updates are scaled to the size of AdamW's. At every step the kernels are
    copied to the matrices that PyTorch's Muon knows, and back.
    """

    def __init__(
        self,
        model: nn.Module,
        weight_decay: float,
        takes: Callable[[str, Tensor], bool] = is_linear_map,
    ) -> None:
        self.kernels: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                (self.kernels if takes(name, parameter) else others).append(parameter)
        self.matrices = [nn.Parameter(_matrix(kernel)) for kernel in self.kernels]
        self.muon = torch.optim.Muon(
            self.matrices, lr=0.0, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        self.adamw = torch.optim.AdamW(others, **ADAMW, weight_decay=0.0)

    @property
    def param_groups(self) -> list[dict]:
        return [*self.muon.param_groups, *self.adamw.param_groups]

    @torch.no_grad()
    def step(self) -> None:
        for matrix, kernel in zip(self.matrices, self.kernels, strict=True):
            matrix.copy_(_matrix(kernel))
            matrix.grad = None if kernel.grad is None else _matrix(kernel.grad)
        self.muon.step()
        for matrix, kernel in zip(self.matrices, self.kernels, strict=True):
            kernel.copy_(matrix.view(kernel.shape))
        self.adamw.step()

    def zero_grad(self) -> None:
        for parameter in (*self.kernels, *self.adamw.param_groups[0]["params"]):
            parameter.grad = None

    def state_dict(self) -> dict:
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])


def _matrix(kernel: Tensor) -> Tensor:
    """(out, ...) -> (out, inputs of one output), a copy of its own."""
    return kernel.detach().reshape(len(kernel), -1).clone(memory_format=torch.contiguous_format)


Optimiser = torch.optim.AdamW | MuonWithAdamW

# By the setting `optimiser`; the learning rate is set at every step.
OPTIMISERS: dict[str, Callable[[nn.Module, float], Optimiser]] = {
    "muon": MuonWithAdamW,
    "adamw": adamw,
}
