"""The image tower that starts from photographs."""

from pathlib import Path

import open_clip
import pytest
import torch
from torch.nn import functional

from stages.core.runtime.errors import StudyError
from stages.core.vision.model_files import ARCHITECTURES, Keys
from stages.core.vision.open_clip_loading import load_open_clip
from stages.core.vision.texture_lite0 import FROZEN, STAGES, imagenet_network, texture_lite0

CPU = torch.device("cpu")
MAPS = {4: 80, 5: 112, 6: 192}


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(4, 3, 96, 96, generator=torch.Generator().manual_seed(0))


def test_features_are_means_of_the_maps_of_the_network_of_imagenet(images: torch.Tensor) -> None:
    """Which had pixels less 0.498, divided by 0.502; the tower gets them as CLIP has them."""
    mean, std = (
        torch.tensor(each)[:, None, None]
        for each in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    tower, network = texture_lite0(pretrained=True).eval(), imagenet_network().eval()
    with torch.inference_mode():
        found = tower((images - mean) / std)
        maps = network.bn1(network.conv_stem((images - 0.498) / 0.502))
        expected = []
        for number, stage in enumerate(network.blocks[:STAGES], start=1):
            maps = stage(maps)
            if number in MAPS:
                assert maps.shape[1] == MAPS[number]
                expected.append(functional.adaptive_avg_pool2d(maps, 1)[..., 0, 0])
    assert found.shape == (4, 384) == (4, tower.num_features)
    torch.testing.assert_close(found, torch.cat(expected, dim=1), rtol=1e-3, atol=1e-4)


def test_its_first_stages_are_not_trained_and_no_batch_norm_moves(images: torch.Tensor) -> None:
    tower = texture_lite0(pretrained=True).requires_grad_(True).train()
    before = {key: value.clone() for key, value in tower.state_dict().items()}
    tower(images).square().sum().backward()
    trained = {int(key.split(".")[1]) for key, p in tower.named_parameters() if p.grad is not None}
    assert trained == set(range(FROZEN + 1, STAGES + 1))
    moved = {key for key, value in tower.state_dict().items() if not value.equal(before[key])}
    assert moved == {"scale.running_mean", "scale.running_var", "scale.num_batches_tracked"}


def test_it_starts_from_random_weights_where_none_are_asked_for() -> None:
    known, drawn = (texture_lite0(pretrained=each) for each in (True, False))
    assert drawn.origin is None
    assert known.origin is not None
    assert "Apache License 2.0" in known.origin
    names = [key for key, _ in known.named_parameters() if key.endswith("conv_dw.weight")]
    assert names
    assert not any(known.get_parameter(key).equal(drawn.get_parameter(key)) for key in names)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_it_encodes_in_every_precision(images: torch.Tensor, precision: str) -> None:
    open_clip.add_model_config(ARCHITECTURES)
    given = ("texture-lite0-96", None, Path("data/model"), 0, CPU)
    encoder = load_open_clip(*given, image_weights=True)
    exact = encoder.encode_images(images.numpy())
    found = encoder.with_precision(precision).encode_images(images.numpy())
    assert found.shape == (4, 128)
    assert ((exact * found).sum(axis=1) > 0.999).all()


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("texture-net-96", r"could not get its weights \(texture_net has no weights to start from"),
        ("ViT-B-32", "could not get its weights, since it is none of timm"),
    ],
)
def test_an_image_tower_without_weights_is_refused(architecture: str, said: str) -> None:
    open_clip.add_model_config(ARCHITECTURES)
    keys = Keys("pretrain.architecture", "pretrain.init", "pretrain.architecture")
    with pytest.raises(
        StudyError, match=f"^pretrain.init: the image tower of {architecture} {said}"
    ):
        load_open_clip(architecture, None, Path("data/model"), 0, CPU, keys, image_weights=True)
