"""Simplified networks: the same answers."""

from collections.abc import Callable

import pytest
import timm
import torch
from timm.layers import Conv2dSame, ScaledStdConv2d
from torch import Tensor, nn

from stages.core.vision.simplification import fold_batch_norms, simplify, turn_same_padding
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


def assert_left_as_it_is(
    network: nn.Module, change: Callable[[nn.Module, tuple[int, int]], int]
) -> None:
    modules = list(network.modules())
    with torch.inference_mode():
        expected = network(IMAGES)
        assert change(network, SIZE) == 0
        assert network(IMAGES).equal(expected)
    assert all(one is other for one, other in zip(modules, network.modules(), strict=True))


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
def test_a_network_that_cannot_be_folded_is_left_as_it_is(build: Callable[[], nn.Module]) -> None:
    assert_left_as_it_is(as_after_training(build()), fold_batch_norms)


@pytest.mark.parametrize(
    ("build", "gains"),
    [
        (texture_lite0, 5),
        (lambda: timm.create_model("tf_efficientnet_lite0"), 5),
        (lambda: timm.create_model("tf_mixnet_s"), 13),  # several sizes of kernels side by side
        (texture_net, 0),  # PyTorch's own padding
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (96, 64)])
def test_a_turned_network_gives_the_same_answers(
    build: Callable[[], nn.Module], gains: int, size: tuple[int, int]
) -> None:
    network = as_after_training(build())
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(images)
        assert turn_same_padding(network, size) == gains
        assert (network(images) - expected).norm() < 1e-5 * expected.norm()
    if gains:
        assert not any(isinstance(each, Conv2dSame) for each in network.modules())


@pytest.mark.parametrize(
    "build",
    [
        lambda: nn.Sequential(Conv2dSame(3, 4, 3, 2), nn.Flatten(), nn.Linear(4 * 32 * 32, 5)),
        lambda: nn.Sequential(Conv2dSame(3, 4, 2, 1), nn.AdaptiveAvgPool2d(1)),
        lambda: nn.Sequential(Conv2dSame(3, 4, 3, 1), nn.AdaptiveAvgPool2d(1)),  # gains nothing
    ],
)
def test_a_network_that_cannot_be_turned_is_left_as_it_is(build: Callable[[], nn.Module]) -> None:
    assert_left_as_it_is(as_after_training(build()), turn_same_padding)


def test_both_go_together() -> None:
    network = as_after_training(texture_lite0())
    with torch.inference_mode():
        expected = network(IMAGES)
        simplify(network, SIZE)
        found = network(IMAGES)
    assert norms(network) == 1
    assert not any(isinstance(each, Conv2dSame) for each in network.modules())
    assert (found - expected).norm() < 1e-5 * expected.norm()
