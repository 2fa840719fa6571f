"""Files with encoders of a user's own, for tests."""

from pathlib import Path

# The mean colour of nine squares, projected by fixed numbers; texts by their letters.
ENCODER = """
import numpy as np
import torch

class Squares:
    mean = [0.5, 0.4, 0.3]
    std = (0.2, 0.25, 0.3)

    def __init__(self, dtype):
        numbers = torch.arange(27 * 5, dtype=torch.float64).reshape(27, 5)
        self.weight = torch.sin(numbers).to(dtype)

    def prepare(self, image):
        pixels = np.asarray(image.resize((24, 24)), dtype=np.float32) / 255
        return np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)

    def encode_images(self, batch):
        squares = torch.nn.functional.avg_pool2d(batch, 8).flatten(1)  # (b, 27)
        return squares @ self.weight

class Reading(Squares):
    logit_scale = 20

    def encode_texts(self, texts):
        rows = [[sum(map(ord, text[i::5])) % 7 - 3.1 for i in range(5)] for text in texts]
        return np.array(rows)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

def load(device, precision):
    return Squares(DTYPES[precision])

def load_reading(device, precision):
    return Reading(DTYPES[precision])
"""


def write_encoder(folder: Path, text: str = ENCODER, name: str = "encoder.py") -> Path:
    """Write the file of an encoder; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name
