"""Networks that are trained, made faster: the same answers from fewer passes over the maps."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NORMS = (nn.BatchNorm2d, BatchNormAct2d)
# Far above what float32, or TF32 on a GPU, rounds off, and far below what a wrong change makes.
TOLERANCE = 1e-2


def simplify(network: nn.Module, size: tuple[int, int]) -> None:
    """Do all that this module offers to a network, in place; it can be trained no more.

    network: in eval mode, in float32. size: (height, width) of its images.
    """
    fold_batch_norms(network, size)
    turn_same_padding(network, size)


def fold_batch_norms(network: nn.Module, size: tuple[int, int]) -> int:
    """Fold each batch normalisation, in place, into the convolution before it.

    After training, batch normalisation multiplies and shifts each channel by constants, which
    the weights and the bias of a convolution can hold (Jacob et al. 2018, section 3.2). Which
    convolution comes before is seen as an image of noise passes. Where the network's answer to it
    then differs, as it does if a convolution does something else to its weights, all is put back.

    network, size: as for `simplify`. Returns the number of normalisations that are gone.
    """
    modules = dict(network.named_modules())
    if not any(type(module) in NORMS for module in modules.values()):
        return 0
    passed: list[str] = []
    made: list[tuple[Tensor, str]] = []  # tensors are kept, so that no other is taken for one
    pairs: list[tuple[str, str]] = []

    def before(name: str, maps: Tensor) -> None:
        passed.append(name)
        if type(modules[name]) in NORMS:
            pairs.extend((conv, name) for found, conv in made if found is maps)

    def after(name: str, maps: Tensor) -> None:
        if isinstance(modules[name], nn.Conv2d):
            made.append((maps, name))

    images = _noise(network, size)
    answer = _watched(network, images, nn.Conv2d | nn.BatchNorm2d, before, after)
    new: dict[str, nn.Module] = {}
    for conv, norm in pairs:
        if passed.count(conv) == passed.count(norm) == 1:
            new[conv] = fuse_conv_bn_eval(modules[conv], modules[norm])
            act = getattr(modules[norm], "act", None)  # timm's have their activation within
            new[norm] = nn.Identity() if act is None else act
    return len(new) // 2 if _replaced(network, new, images, answer) else 0


def turn_same_padding(network: nn.Module, size: tuple[int, int]) -> int:
    """Let a network look at images turned by 180 degrees, with kernels turned likewise, in place.

    TensorFlow pads a map of even size for a convolution of stride 2 by one pixel more at the end
    than at the start. PyTorch's convolutions cannot, so that timm copies the whole map into a
    larger one. Turned, the map has its longer border at the start, and as many pixels at the end
    are then never reached: the convolution's own padding does. Nothing is turned where no
    convolution gains by it, and all is put back where the network's answer differs, as it does
    where places matter, with position embeddings for example.

    network, size: as for `simplify`. Returns the number of convolutions that gain by it.
    """
    modules = dict(network.named_modules())
    convs = {name: each for name, each in modules.items() if isinstance(each, nn.Conv2d)}
    if not any(isinstance(conv, Conv2dSame) for conv in convs.values()):
        return 0
    sizes: dict[str, torch.Size] = {}

    def before(name: str, maps: Tensor) -> None:
        sizes[name] = maps.shape[2:]

    images = _noise(network, size)
    answer = _watched(network, images, nn.Conv2d, before, lambda *_: None)
    new, gains = {}, 0
    for name, conv in convs.items():
        padding = conv.padding
        if isinstance(conv, Conv2dSame):
            borders = [_borders(conv, sizes[name][axis], axis) for axis in (0, 1)]
            if any(
                end - start >= step for (start, end), step in zip(borders, conv.stride, strict=True)
            ):
                return 0  # the longer border would be reached at both ends
            padding = tuple(end for _, end in borders)
            gains += any(start != end for start, end in borders)
        new[name] = _turned(conv, padding)
    hook = network.register_forward_pre_hook(lambda _, given: (given[0].flip(2, 3), *given[1:]))
    if gains and _replaced(network, new, images, answer):
        return gains
    hook.remove()
    return 0


def _borders(conv: Conv2dSame, pixels: int, axis: int) -> tuple[int, int]:
    """By how many pixels 'same' padding enlarges a map at its start and at its end."""
    stride, reach = conv.stride[axis], conv.dilation[axis] * (conv.kernel_size[axis] - 1)
    both = max((-(-pixels // stride) - 1) * stride + reach + 1 - pixels, 0)
    return both // 2, both - both // 2


def _turned(conv: nn.Conv2d, padding: str | tuple[int, ...]) -> nn.Conv2d:
    """A convolution with its kernels turned by 180 degrees, and with another padding."""
    turned = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]  # a pair, which its annotation leaves open
        conv.stride,  # type: ignore[arg-type]
        padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.groups,
        bias=False,
        device=conv.weight.device,
    ).eval()
    turned.weight = nn.Parameter(conv.weight.flip(2, 3), requires_grad=False)
    turned.bias = conv.bias
    return turned


def _noise(network: nn.Module, size: tuple[int, int]) -> Tensor:
    """(1, 3, height, width): an image of noise, on the network's device."""
    noise = torch.randn((1, 3, *size), generator=torch.Generator().manual_seed(0))
    return noise.to(next(network.parameters()).device)


def _watched(
    network: nn.Module,
    images: Tensor,
    kinds: Any,
    before: Callable[[str, Tensor], None],
    after: Callable[[str, Tensor], None],
) -> Any:
    """The network's answer; its modules of these kinds tell their names, what they get and make."""
    names = {each: name for name, each in network.named_modules() if isinstance(each, kinds)}

    def enter(module: nn.Module, given: tuple) -> None:
        before(names[module], given[0])

    def leave(module: nn.Module, _: tuple, maps: Tensor) -> None:
        after(names[module], maps)

    hooks = [module.register_forward_pre_hook(enter) for module in names]
    hooks += [module.register_forward_hook(leave) for module in names]
    try:
        with torch.inference_mode():
            return network(images)
    finally:
        for hook in hooks:
            hook.remove()


def _replaced(
    network: nn.Module, new: Mapping[str, nn.Module], images: Tensor, answer: Any
) -> bool:
    """Put modules, by name, in the place of others; or none, where the answer to images changes."""
    old = {name: network.get_submodule(name) for name in new}
    _put(network, new)
    with torch.inference_mode():
        found = network(images)
    if isinstance(answer, Tensor) and (found - answer).norm() <= TOLERANCE * answer.norm():
        return True
    _put(network, old)
    return False


def _put(network: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        setattr(network.get_submodule(parent), child, module)
