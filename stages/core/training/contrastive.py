"""One step of training CLIP: matching pairs are drawn together, mismatched pairs pushed apart.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
2021. Everything random in a step comes from (seed, step), so that a run that was broken off and
resumed sees what an unbroken one does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from open_clip import ClipLoss
from open_clip.model import CLIP, CustomTextCLIP
from torch import Tensor, nn

from stages.core.runtime.errors import StudyError
from stages.core.runtime.randomness import generator_for
from stages.core.training.captions import caption
from stages.core.training.optimiser import Optimiser
from stages.core.training.pairs import Pairs
from stages.core.training.views import Normalisation, augment

MAX_LOGIT_SCALE = math.log(100)  # Radford et al., section 2.5


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int
    warmup_steps: int
    learning_rate: float
    batch_size: int
    noise: float
    seed: int

    def rate(self, step: int) -> float:
        """The learning rate of a step: a linear warm-up, then half a cosine down to zero."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def contrastive_loss(image: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of the (b, b) cosines of unit rows; guessing costs ln b nats."""
    return ClipLoss()(image, text, logit_scale)


def training_step(
    model: CLIP | CustomTextCLIP,
    optimiser: Optimiser,
    tokenise: Callable[[list[str]], Tensor],
    pairs: Pairs,
    rows: np.ndarray,
    step: int,
    schedule: Schedule,
    normalisation: Normalisation,
    autocast: torch.autocast,
) -> float:
    """One step over the pairs at `rows`; returns its loss in nats.

    Raises StudyError, before the weights change, where the loss is not finite.
    """
    device = next(model.parameters()).device
    generator = generator_for(schedule.seed, "step", step)
    texts = tokenise([caption(pairs.facts[row], generator) for row in rows]).to(device)
    pixels = torch.from_numpy(pairs.images[rows]).to(device)
    images = augment(pixels, normalisation, schedule.noise, generator)
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate(step)
    with autocast:
        output = model(images.contiguous(memory_format=torch.channels_last), texts)
    image, text, scale = output[:3] if isinstance(output, tuple) else _features(output)
    loss = contrastive_loss(image.float(), text.float(), scale)
    if not torch.isfinite(loss):
        raise StudyError(
            f"pretrain: the loss of step {step} is {loss.item()}; the checkpoint before it is "
            "kept; lower pretrain.learning_rate or set pretrain.precision: fp32"
        )
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, MAX_LOGIT_SCALE)
    return loss.item()


def _features(output: dict) -> tuple[Tensor, Tensor, Tensor]:
    return output["image_features"], output["text_features"], output["logit_scale"]


def batch_rows(count: int, step: int, schedule: Schedule) -> np.ndarray:
    """(batch,) int64: the rows of a step among `count` pairs, each equally often in the long run.

    Successive steps walk through one shuffle after another, drawn from the seed.
    """
    batch = min(schedule.batch_size, count)
    per_epoch = count // batch
    epoch, place = divmod(step, per_epoch)
    order = generator_for(schedule.seed, "shuffle", epoch).permutation(count)
    return np.sort(order[place * batch : (place + 1) * batch])
