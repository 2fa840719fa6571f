"""Image towers that start from weights trained on photographs, known to timm, as candidates.

EfficientNet-Lite0 with ImageNet's weights (examples/efficientnet_lite0.py says where they come
from), without its last stage and its head: these know ImageNet's classes better than textures, and
with them the model would exceed 10 MB. The features are the means of the maps of its stages 4, 5
and 6, 384 in all, brought to one scale.

Its first stages, which fine-tuning would change little and which cost the most at every step, stay
as they are: nothing is differentiated through them. All its batch norms keep the means and
deviations of the photographs.
"""

import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from timm.models import register_model
from torch import Tensor, nn

from examples.efficientnet_lite0 import EfficientNetLite0, pretrained_network

STAGES = 6  # of 7
WIDTHS = {4: 80, 5: 112, 6: 192}  # channels of the maps that are taken, by stage


class PretrainedTower(nn.Module):
    """(n, 3, s, s), normalised as CLIP's images are -> (n, 384).

    frozen: how many of its stages, the stem with them, keep the weights they start from.
    """

    def __init__(self, frozen: int) -> None:
        super().__init__()
        network = pretrained_network()
        stem = nn.Sequential(network.conv_stem, network.bn1)
        self.stages = nn.ModuleList([stem, *network.blocks[:STAGES]])
        self.frozen = frozen
        self.scale = nn.BatchNorm1d(sum(WIDTHS.values()), affine=False)
        # [0, 1] pixels, normalised by CLIP's mean and deviation, as the network has them.
        mean, std, own_mean, own_std = (
            torch.tensor(each)[:, None, None]
            for each in (
                OPENAI_DATASET_MEAN,
                OPENAI_DATASET_STD,
                EfficientNetLite0.mean,
                EfficientNetLite0.std,
            )
        )
        self.register_buffer("factor", std / own_std)
        self.register_buffer("shift", (mean - own_mean) / own_std)
        # What open_clip asks of a network of timm.
        self.num_features = sum(WIDTHS.values())
        self.default_cfg: dict[str, object] = {}

    def reset_classifier(self, num_classes: int, **_: object) -> None:
        """There is no classifier left; open_clip puts its projection after forward()."""

    def train(self, mode: bool = True) -> "PretrainedTower":
        super().train(mode)
        self.stages.eval()  # none has dropout, and batch norms stay as they are
        return self

    def forward(self, images: Tensor) -> Tensor:
        found = []
        maps = images.float() * self.get_buffer("factor") + self.get_buffer("shift")
        # In float32: a CPU's bfloat16 makes convolutions of single channels slower, not faster.
        with torch.autocast(images.device.type, enabled=False):
            for number, stage in enumerate(self.stages):  # 0 is the stem
                with torch.set_grad_enabled(torch.is_grad_enabled() and number > self.frozen):
                    maps = stage(maps)
                if number in WIDTHS:
                    found.append(maps.mean(dim=(2, 3)))  # (n, channels)
            return self.scale(torch.cat(found, dim=1))


@register_model
def lite0_frozen(pretrained: bool = False, **_: object) -> PretrainedTower:
    """What timm calls to build the network: all stages keep the weights they start from."""
    return PretrainedTower(frozen=STAGES)


@register_model
def lite0_tuned(pretrained: bool = False, **_: object) -> PretrainedTower:
    """What timm calls to build the network: stages 4 to 6 are trained."""
    return PretrainedTower(frozen=3)
