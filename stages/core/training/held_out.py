"""What a model makes of pairs that it was not trained on."""

from collections.abc import Callable

import numpy as np
import torch
from open_clip.model import CLIP, CustomTextCLIP
from torch import Tensor
from torch.nn import functional

from stages.core.runtime.randomness import generator_for
from stages.core.training.captions import caption
from stages.core.training.comparison import Comparison
from stages.core.training.pairs import Pairs
from stages.core.training.views import Normalisation


@torch.inference_mode()
def compare(
    model: CLIP | CustomTextCLIP,
    tokenise: Callable[[list[str]], Tensor],
    pairs: Pairs,
    normalisation: Normalisation,
    seed: int,
) -> Comparison:
    """Encode held-out pairs, whole images and one caption each, in float32."""
    device = next(model.parameters()).device
    generator = generator_for(seed, "held-out captions")
    captions = [caption(facts, generator) for facts in pairs.facts]
    mean, std = (
        torch.from_numpy(np.float32(x)).to(device)[:, None, None]
        for x in (normalisation.mean, normalisation.std)
    )
    training = model.training
    model.eval()
    images, texts = [], []
    for start in range(0, len(captions), 256):
        pixels = torch.from_numpy(pairs.images[start : start + 256]).to(device)
        pixels = functional.interpolate(
            pixels.permute(0, 3, 1, 2).float() / 255,
            size=(normalisation.size,) * 2,
            mode="bicubic",
            antialias=True,
            align_corners=False,
        ).clamp(0, 1)
        images.append(model.encode_image((pixels - mean) / std, normalize=True))
        tokens = tokenise(captions[start : start + 256]).to(device)
        texts.append(model.encode_text(tokens, normalize=True))
    model.train(training)
    cosines = torch.cat(images).float() @ torch.cat(texts).float().T
    return Comparison(cosines.cpu().numpy(), captions, float(model.logit_scale.exp()))


def held_out_loss(comparison: Comparison, batch_size: int) -> float:
    """Mean loss in nats over successive batches of held-out pairs, the last part batch left out."""
    logits = torch.from_numpy(comparison.cosines).double() * comparison.logit_scale
    batch = min(batch_size, len(logits))
    losses = []
    for start in range(0, len(logits) - batch + 1, batch):
        block = logits[start : start + batch, start : start + batch]
        target = torch.arange(batch)
        both = functional.cross_entropy(block, target) + functional.cross_entropy(block.T, target)
        losses.append(both.item() / 2)
    return float(np.mean(losses))
