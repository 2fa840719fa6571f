"""Image files of any mode as upright RGB, and what is wrong with those that cannot be read."""

import io
import os
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from stages.core.dataset.reading import UnreadableFile, read_bounded
from stages.core.runtime.errors import StudyError

# Decoders beyond these either start other programs (EPS) or read formats without an agreed white.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM")

MOST_BYTES = 1 << 28  # 89 million pixels, Pillow's limit, take this much without compression
LONGEST_SIDE_PX = 20_000
# An encoder scales the shorter side to its input and then cuts out the middle: of a narrow strip
# it would see nearly nothing, and the scaled strip would take all memory.
LARGEST_ASPECT = 20

# What may have to happen on the way to upright 8-bit RGB.
CONVERSIONS = ("greyscale", "palette", "cmyk", "alpha", "deep", "rotated")

MODE_CONVERSIONS = {
    "1": "greyscale",
    "L": "greyscale",
    "LA": "greyscale",
    "La": "greyscale",
    "P": "palette",
    "PA": "palette",
    "CMYK": "cmyk",
}

# How to undo each value of the EXIF orientation tag. ImageOps.exif_transpose does the same, but
# also writes the tags anew, which fails on odd ones.
ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

PNG_END = b"IEND\xaeB`\x82"

# Pillow refuses images beyond twice its limit of pixels and only warns of those between.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


class UnreadableImage(UnreadableFile):
    """The bytes are no image, or not a whole one; the message says why, without a name."""


class Decoded(NamedTuple):
    """An upright 8-bit RGB image and the conversions that made it one (of `CONVERSIONS`)."""

    image: Image.Image
    conversions: tuple[str, ...]


def read_image(path: Path) -> Image.Image:
    """The image in a file as upright 8-bit RGB.

    Greyscale, palette and CMYK are converted, transparency is laid on white, 16-bit greyscale is
    scaled to 8 bits, and the orientation in the EXIF data is applied. Of several frames the first
    is taken.

    Raises StudyError that names the file where it is missing, no regular file, empty, truncated,
    no image, or too large.
    """
    return image_in(read_image_file(path), path)


def read_image_file(path: Path) -> bytes:
    """The contents of an image file; raises StudyError as `read_image` does."""
    if not os.path.lexists(path):
        raise StudyError(f"{path}: not found; run 'dvc repro fetch'")
    try:
        return read_bounded(path, MOST_BYTES)
    except UnreadableFile as error:
        raise StudyError(f"{path}: {error}; repair or remove it") from None


def image_in(data: bytes, path: Path) -> Image.Image:
    """The image in the contents of the file `path`, as `read_image` gives it."""
    try:
        return decode(data).image
    except UnreadableFile as error:
        raise StudyError(f"{path}: {error}; repair or remove it") from None


def decode(data: bytes) -> Decoded:
    """Decode the contents of an image file fully, as `read_image` does.

    Raises UnreadableImage, of what is too large or too narrow before it is decoded.
    """
    if not data:
        raise UnreadableImage("empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        _require_bounded(*image.size)
        turned = _orientation(image) in ORIENTATIONS  # Pillow itself turns TIFF files in load()
        image.load()
        if image.format == "PNG" and PNG_END not in data:  # Pillow is content with all pixels
            raise UnreadableImage("truncated, its last chunk is missing")
        return _upright_rgb(image, turned)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(f"no image of a known format ({', '.join(FORMATS)})") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise UnreadableImage(f"more than {limit:.0f} million pixels") from None
    except MemoryError:
        raise
    except Exception as error:  # on damaged data decoders raise nearly anything
        raise UnreadableImage(" ".join(str(error).split()) or type(error).__name__) from None


def _require_bounded(width: int, height: int) -> None:
    size, (shorter, longer) = f"{width:,} x {height:,} pixels", sorted((width, height))
    if longer > LONGEST_SIDE_PX:
        raise UnreadableImage(f"{size}, beyond {LONGEST_SIDE_PX:,} a side")
    if longer > LARGEST_ASPECT * shorter:
        raise UnreadableImage(f"{size}, one side more than {LARGEST_ASPECT} times the other")


def _upright_rgb(image: Image.Image, turned: bool) -> Decoded:
    """Any loaded image as RGB, with the conversions that it took."""
    conversions = []
    if image.mode in MODE_CONVERSIONS:
        conversions.append(MODE_CONVERSIONS[image.mode])
    orientation = _orientation(image)
    if orientation in ORIENTATIONS:
        image = image.transpose(ORIENTATIONS[orientation])
    if turned:
        conversions.append("rotated")

    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips everything above 255 to white.
        grey = np.rint(np.asarray(image).astype(np.float64) / 257).astype(np.uint8)
        image = Image.fromarray(grey)
        conversions += ["greyscale", "deep"]
    elif image.mode in ("I", "F"):
        raise UnreadableImage(f"mode {image.mode!r} has no agreed white; save it with 8 or 16 bits")

    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
        conversions.append("alpha")
    return Decoded(image if image.mode == "RGB" else image.convert("RGB"), tuple(conversions))


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # EXIF data that cannot be read says nothing of the orientation
        return 1
