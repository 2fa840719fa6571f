"""Batch normalisations within convolutions: the same answers from fewer modules."""

import pytest
import timm
import torch
from timm.layers import ScaledStdConv2d
from torch import Tensor, nn

from stages.core.vision.folding import fold_batch_norms
from stages.core.vision.texture_lite0 import texture_lite0
from stages.core.vision.texture_net import texture_net

SIZE = (64, 64)
IMAGES = torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "texture_net": (texture_net, 0),
    "texture_lite0": (texture_lite0, 1),  # whose last normalisation follows a pooling
    "resnet18": (lambda: timm.create_model("resnet18"), 0),
    "densenet121": (lambda: timm.create_model("densenet121"), 62),  # of several maps joined
}


class Twice(nn.Module):
    """What no pair can be made of: maps that something else uses, a module that is used twice."""

    def __init__(self, conv: type[nn.Conv2d], again: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.again = conv(3, 3, 3, padding=1), nn.BatchNorm2d(3), again

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        found = self.norm(maps)
        return (self.norm(found) if self.again else found + maps).mean(dim=(2, 3))


def as_after_training(network: nn.Module) -> nn.Module:
    """In eval mode, with normalisations that change what they get."""
    random = torch.Generator().manual_seed(1)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            with torch.no_grad():
                for constants in (norm.weight, norm.running_var) if norm.affine else ():
                    constants.copy_(0.5 + torch.rand(len(constants), generator=random))
                for constants in (norm.bias, norm.running_mean) if norm.affine else ():
                    constants.copy_(torch.randn(len(constants), generator=random) / 4)
    return network.eval().requires_grad_(False)


def norms(network: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d) for each in network.modules())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_answers_are_the_same(name: str) -> None:
    build, left = NETWORKS[name]
    network = as_after_training(build())
    before = norms(network)
    with torch.inference_mode():
        expected = network(IMAGES)
        assert fold_batch_norms(network, SIZE) == before - left > 0
        found = network(IMAGES)
    assert norms(network) == left
    assert (found - expected).norm() < 1e-5 * expected.norm()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Twice(nn.Conv2d, again=False),
        lambda: Twice(nn.Conv2d, again=True),
        # Its weights are standardised whenever it is used, so that they can hold no factor.
        lambda: nn.Sequential(ScaledStdConv2d(3, 4, 3), nn.BatchNorm2d(4)),
        lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3)),
    ],
)
def test_a_network_that_cannot_be_folded_is_left_as_it_is(build: object) -> None:
    network = as_after_training(build())  # type: ignore[operator]
    modules = list(network.modules())
    with torch.inference_mode():
        expected = network(IMAGES)
        assert fold_batch_norms(network, SIZE) == 0
        assert network(IMAGES).equal(expected)
    assert all(one is other for one, other in zip(modules, network.modules(), strict=True))
