"""Batch normalisations, folded into the convolutions before them: fewer passes over the maps."""

from functools import partial
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NORMS = (nn.BatchNorm2d, BatchNormAct2d)
# Far above what float32, or TF32 on a GPU, rounds off, and far below what a wrong fold changes.
TOLERANCE = 1e-2


def fold_batch_norms(network: nn.Module, size: tuple[int, int]) -> int:
    """Fold each batch normalisation of a network, in place, into the convolution before it.

    After training, batch normalisation multiplies and shifts each channel by constants, which
    the weights and the bias of a convolution can hold (Jacob et al. 2018, section 3.2). Which
    convolution comes before is seen as an image of noise passes. Where the network's answer to it
    then differs, as it does if a convolution does something else to its weights, all is put back.

    network: in eval mode, in float32. size: (height, width) of its images.

    Returns the number of normalisations that are gone.
    """
    modules = dict(network.named_modules())
    if not any(type(module) in NORMS for module in modules.values()):
        return 0
    noise = torch.randn((1, 3, *size), generator=torch.Generator().manual_seed(0))
    images = noise.to(next(network.parameters()).device)
    expected, pairs = _convolutions_before_norms(network, modules, images)
    if not pairs or not isinstance(expected, Tensor):
        return 0
    for conv, norm in pairs:
        _replace(network, conv, fuse_conv_bn_eval(modules[conv], modules[norm]))
        kept = getattr(modules[norm], "act", None)  # timm's have their activation within
        _replace(network, norm, nn.Identity() if kept is None else kept)
    with torch.inference_mode():
        found = network(images)
    if (found - expected).norm() <= TOLERANCE * expected.norm():
        return len(pairs)
    for name in (name for pair in pairs for name in pair):
        _replace(network, name, modules[name])
    return 0


def _convolutions_before_norms(
    network: nn.Module, modules: dict[str, nn.Module], images: Tensor
) -> tuple[Any, list[tuple[str, str]]]:
    """(what the network makes of the images, the names of convolutions and what follows each).

    Pairs are of convolutions and normalisations that the images pass once.
    """
    passed: list[str] = []
    made: list[tuple[Tensor, str]] = []  # tensors are kept, so that no other is taken for one
    pairs: list[tuple[str, str]] = []

    def before(name: str, _: nn.Module, given: tuple) -> None:
        passed.append(name)
        if type(modules[name]) in NORMS:
            pairs.extend((conv, name) for maps, conv in made if maps is given[0])

    def after(name: str, _: nn.Module, __: tuple, maps: Tensor) -> None:
        if isinstance(modules[name], nn.Conv2d):
            made.append((maps, name))

    hooks = []
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(partial(before, name)))
            hooks.append(module.register_forward_hook(partial(after, name)))
    try:
        with torch.inference_mode():
            answer = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return answer, [pair for pair in pairs if all(passed.count(name) == 1 for name in pair)]


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
