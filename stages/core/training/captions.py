"""What is written under a training image: the words that are true of it, said in many ways."""

from dataclasses import dataclass

import numpy as np

# The first eight are OpenAI's prompts for DTD; the model must not learn one sentence by heart.
TEMPLATES = (
    "a photo of a {} texture.",
    "a photo of a {} pattern.",
    "a photo of a {} thing.",
    "a photo of a {} object.",
    "a photo of the {} texture.",
    "a photo of the {} pattern.",
    "a photo of the {} thing.",
    "a photo of the {} object.",
    "a {} surface.",
    "a {} texture",
    "a close-up of something {}.",
    "{}",
    "this looks {}.",
    "a picture of {} material.",
)


@dataclass(frozen=True)
class Facts:
    """What is true of an image: attributes (at least one), colours and scale (may be empty)."""

    attributes: tuple[str, ...]
    colours: tuple[str, ...] = ()
    scale: str = ""


def caption(facts: Facts, generator: np.random.Generator) -> str:
    """A random sentence that is true of the image.

    All attributes or one of them; one sentence in seven names colours, one in ten the scale.
    More of them would tell pairs apart by colour, and the attributes be learned more slowly.
    """
    attributes = list(facts.attributes)
    if len(attributes) > 1 and generator.random() < 0.5:
        attributes = [attributes[generator.integers(len(attributes))]]
    words = [" and ".join(name.replace("_", " ") for name in attributes)]
    if facts.colours and generator.random() < 0.15:
        named = facts.colours[: generator.integers(1, len(facts.colours) + 1)]
        words.insert(0, " and ".join(named))
    if facts.scale and generator.random() < 0.1:
        words.insert(0, facts.scale)
    return TEMPLATES[generator.integers(len(TEMPLATES))].format(" ".join(words))
