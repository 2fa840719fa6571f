"""The optimisers against PyTorch's own, step by step."""

from typing import get_args

import pytest
import torch
from torch import nn

from stages.core.training.optimiser import OPTIMISERS, MuonWithAdamW, is_linear_map
from stages.settings.pretrain import PretrainParams

RATE, DECAY = 0.01, 0.1
MUON = {"lr": RATE, "weight_decay": DECAY, "adjust_lr_fn": "match_rms_adamw"}
ADAMW = {"lr": RATE, "betas": (0.9, 0.98), "eps": 1e-6, "weight_decay": 0.0}


class Small(nn.Module):
    """A kernel, a matrix, a bias and a table."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, bias=False)
        self.linear = nn.Linear(8, 5)
        self.token_embedding = nn.Embedding(7, 8)


def gradients(step: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(step + 1)
    return {name: torch.randn(p.shape) for name, p in Small().named_parameters()}


def stepped(model: nn.Module, optimiser: MuonWithAdamW, steps: range) -> None:
    for group in optimiser.param_groups:
        group["lr"] = RATE
    for step in steps:
        optimiser.zero_grad()
        for name, parameter in model.named_parameters():
            assert parameter.grad is None
            parameter.grad = gradients(step)[name]
        optimiser.step()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_muon_steps_as_pytorchs_own_on_matrices_with_adamw_for_the_rest(
    layout: torch.memory_format,
) -> None:
    model = Small().to(memory_format=layout)
    stepped(model, MuonWithAdamW(model, DECAY), range(4))

    plain = dict(Small().named_parameters())
    matrices = {
        name: nn.Parameter(plain[name].detach().reshape(len(plain[name]), -1).clone())
        for name in ("conv.weight", "linear.weight")
    }
    others = {name: plain[name] for name in ("linear.bias", "token_embedding.weight")}
    muon = torch.optim.Muon(matrices.values(), **MUON)
    adamw = torch.optim.AdamW(others.values(), **ADAMW)
    for step in range(4):
        for name, parameter in (matrices | others).items():
            parameter.grad = gradients(step)[name].reshape(parameter.shape)
        muon.step()
        adamw.step()
    for name, parameter in model.named_parameters():
        wanted = (matrices | others)[name].reshape(parameter.shape)
        torch.testing.assert_close(parameter, wanted, rtol=0, atol=0)


def test_a_state_that_was_saved_goes_on_as_if_unbroken() -> None:
    whole, first, second = Small(), Small(), Small()
    stepped(whole, MuonWithAdamW(whole, DECAY), range(6))
    before = MuonWithAdamW(first, DECAY)
    stepped(first, before, range(3))
    after = MuonWithAdamW(second, DECAY)
    after.load_state_dict(before.state_dict())
    second.load_state_dict(first.state_dict())
    stepped(second, after, range(3, 6))
    torch.testing.assert_close(second.state_dict(), whole.state_dict(), rtol=0, atol=0)


def test_linear_maps_are_matrices_and_kernels_but_no_tables() -> None:
    found = [name for name, p in Small().named_parameters() if is_linear_map(name, p)]
    assert found == ["conv.weight", "linear.weight"]


def test_every_optimiser_can_be_set() -> None:
    assert get_args(PretrainParams.model_fields["optimiser"].annotation) == tuple(OPTIMISERS)
