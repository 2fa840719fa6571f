"""Training CLIP: real pairs are drawn together, fake pairs pushed apart.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
2021. Everything random in a step comes from (seed, step), so that a run that was broken off and
resumed sees what an unbroken one does.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from open_clip import ClipLoss
from torch import Tensor, nn
from torch.nn import functional

from stages.core.runtime.errors import StudyError
from stages.core.runtime.randomness import generator_for
from stages.core.training.captions import Facts, caption
from stages.core.training.optimiser import Optimiser

MAX_LOGIT_SCALE = math.log(100)  # Radford et al., section 2.5


@dataclass(frozen=True)
class Pairs:
    """Images with what is true of them; captions are written anew whenever a pair is used.

    images: (n, s, s, 3) uint8 RGB, larger than the model's input to leave room for crops.
    """

    images: np.ndarray
    facts: Sequence[Facts]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int
    warmup_steps: int
    learning_rate: float
    batch_size: int
    weight_decay: float
    noise: float
    seed: int

    def rate(self, step: int) -> float:
        """The learning rate of a step: a linear warm-up, then half a cosine down to zero."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        share = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True)
class Normalisation:
    """How pixels enter the model: its input side, and the mean and deviation of each channel."""

    size: int
    mean: np.ndarray
    std: np.ndarray


def contrastive_loss(image: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """Symmetric cross-entropy of the (b, b) cosines of unit rows; guessing costs ln b nats."""
    return ClipLoss()(image, text, logit_scale)


def training_step(
    model: nn.Module,
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


def augment(
    pixels: Tensor, normalisation: Normalisation, noise: float, generator: np.random.Generator
) -> Tensor:
    """Random views of a batch, as the model's input.

    (b, s, s, 3) uint8 -> (b, 3, size, size) float32, normalised. A view is a turned, mirrored
    crop of a third to all of the image, in another exposure, contrast and saturation; half of
    the views get Gaussian noise of a standard deviation up to `noise`, in normalised pixels.
    """
    count, device = len(pixels), pixels.device

    def draw(low: float, high: float) -> Tensor:
        values = generator.uniform(low, high, (count, 1, 1, 1)).astype(np.float32)
        return torch.from_numpy(values).to(device)

    images = pixels.permute(0, 3, 1, 2).float() / 255  # (b, 3, s, s)
    theta = torch.from_numpy(_views(count, generator)).to(device)
    grid = functional.affine_grid(
        theta, [count, 3, normalisation.size, normalisation.size], align_corners=False
    )
    images = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * draw(0.7, 1.3)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (level * draw(0.8, 1.2) + (images - level) * draw(0.7, 1.3)).clamp(0, 1)
    mean, std = (
        torch.from_numpy(np.float32(x)).to(device)[:, None, None]
        for x in (normalisation.mean, normalisation.std)
    )
    images = (images - mean) / std
    strength = draw(-noise, noise).clamp(min=0)
    values = generator.standard_normal(images.shape, dtype=np.float32)
    return images + strength * torch.from_numpy(values).to(device)


def _views(count: int, generator: np.random.Generator) -> np.ndarray:
    """(count, 2, 3) float32: affine maps from the view's to the image's [-1, 1] square."""
    side = np.sqrt(generator.uniform(1 / 3, 1, count))
    aspect = np.exp(generator.uniform(-0.25, 0.25, count))
    across, down = np.minimum(side * aspect, 1), np.minimum(side / aspect, 1)
    angle = generator.uniform(-0.25, 0.25, count) + np.pi / 2 * (
        generator.integers(0, 4, count) * (generator.random(count) < 0.5)
    )
    mirror = generator.choice([-1, 1], count)
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.zeros((count, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * across * cos, -down * sin
    theta[:, 1, 0], theta[:, 1, 1] = mirror * across * sin, down * cos
    theta[:, 0, 2] = generator.uniform(-1, 1, count) * (1 - across)
    theta[:, 1, 2] = generator.uniform(-1, 1, count) * (1 - down)
    return theta


@dataclass(frozen=True)
class Comparison:
    """Held-out pairs as the model sees them.

    cosines: (n, n) float32 between images (rows) and captions (columns); captions: (n,) texts.
    """

    cosines: np.ndarray
    captions: list[str]
    logit_scale: float


@torch.inference_mode()
def compare(
    model: nn.Module,
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


def recall_at_1(comparison: Comparison) -> tuple[float, float]:
    """(image to text, text to image): how often the nearest has the same caption.

    Equal captions count as right, since nothing tells them apart.
    """
    captions = np.array(comparison.captions)
    to_text = captions[comparison.cosines.argmax(axis=1)] == captions
    to_image = captions[comparison.cosines.argmax(axis=0)] == captions
    return float(to_text.mean()), float(to_image.mean())


def pair_cosines(comparison: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of the real pairs (n,), and of the fake pairs (n (n - 1),)."""
    real = np.eye(len(comparison.cosines), dtype=bool)
    return comparison.cosines[real], comparison.cosines[~real]
