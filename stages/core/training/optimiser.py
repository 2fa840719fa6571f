"""Optimisers: AdamW, or Muon for matrices and kernels with AdamW for the rest.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) makes the update of a matrix
orthogonal, so that every direction learns at the same pace; on generated textures it learns far
more than AdamW does in as many minutes (`python -m benchmarks.training`). PyTorch's takes matrices
alone: it gets every kernel as a matrix with one row for each output channel.
"""

from typing import Literal

import torch
from torch import Tensor, nn

# Embeddings are tables of vectors, of which a batch touches few, and no linear maps.
TABLES = ("token_embedding", "positional_embedding", "class_embedding")
ADAMW = {"lr": 0.0, "betas": (0.9, 0.98), "eps": 1e-6}  # Radford et al. 2021, table 18


def make_optimiser(
    kind: Literal["muon", "adamw"], model: nn.Module, weight_decay: float
) -> "Optimiser":
    """An optimiser of a model's weights; the rate is set at every step.

    weight_decay: of matrices and kernels; no bias, norm, logit scale or (muon) table decays.
    """
    if kind == "muon":
        return MuonWithAdamW(model, weight_decay)
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, **ADAMW)


class MuonWithAdamW:
    """Both optimisers behind the interface of one.

    A single learning rate serves both: Muon's updates are scaled to the size of AdamW's. At every
    step the kernels are copied to the matrices that PyTorch's Muon knows, and back.
    """

    def __init__(self, model: nn.Module, weight_decay: float) -> None:
        self.kernels, others = [], []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                table = any(part in TABLES for part in name.split("."))
                linear = parameter.ndim >= 2 and not table
                (self.kernels if linear else others).append(parameter)
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


Optimiser = torch.optim.AdamW | MuonWithAdamW


def _matrix(kernel: Tensor) -> Tensor:
    """(out, ...) -> (out, inputs of one output), a copy of its own."""
    return kernel.detach().reshape(len(kernel), -1).clone(memory_format=torch.contiguous_format)
