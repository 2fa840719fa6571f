"""A small residual network for textures, known to timm, and so to open_clip, as 'texture_net'.

Training from scratch within minutes on a CPU asks for a network that learns much from each image.
This one looks at the image through 64 wide filters (7 x 7, every fourth pixel), as a bank of
Gabor filters would, and then has few layers of dense 3 x 3 convolutions, which a CPU computes at
a high rate, at resolutions at which a texture still repeats. `python -m benchmarks.training`
compares it with networks of timm.
"""

from itertools import pairwise

import torch
from timm.models import register_model
from torch import Tensor, nn

WIDTHS = (64, 128, 256)  # channels at a quarter, an eighth and a sixteenth of the image's side


class TextureNet(nn.Module):
    """(n, 3, s, s) -> (n, 256): the mean over places of a residual network's last map."""

    def __init__(self) -> None:
        super().__init__()
        layers = [ConvNorm(3, WIDTHS[0], kernel=7, stride=4), nn.ReLU(), Residual(WIDTHS[0])]
        for narrow, wide in pairwise(WIDTHS):
            layers += [ConvNorm(narrow, wide, kernel=3, stride=2), nn.ReLU(), Residual(wide)]
        self.layers = nn.Sequential(*layers)
        # What open_clip asks of a network of timm.
        self.num_features = WIDTHS[-1]
        self.default_cfg: dict[str, object] = {}

    def reset_classifier(self, num_classes: int, **_: object) -> None:
        """There is no classifier to take off; open_clip puts its projection after forward()."""

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).mean(dim=(2, 3))


class ConvNorm(nn.Sequential):
    """A convolution that keeps the borders, and batch normalisation."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(out))


class Residual(nn.Module):
    """x + f(x) with two convolutions in f, which starts at zero (Goyal et al. 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, kernel=3)
        self.second = ConvNorm(channels, channels, kernel=3)
        nn.init.zeros_(self.second.get_parameter("1.weight"))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


@register_model
def texture_net(pretrained: bool = False, **_: object) -> TextureNet:
    """What timm calls to build the network, of which it has no weights."""
    if pretrained:
        raise ValueError("texture_net has no weights to start from")
    return TextureNet()
