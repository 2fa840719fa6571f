"""What makes a painting look like a photograph found on the web."""

from math import tau

import cv2
import numpy as np

from stages.core.painter.canvas import Canvas
from stages.core.painter.fields import above, blur, grain, noise, sample, smoothstep, turned, unit
from stages.core.painter.light import mix
from stages.core.painter.shapes import blob, polygons

DARKEST_MEAN = 0.15  # of a photograph before gamma, in [0, 1]


def photograph(canvas: Canvas, painting: np.ndarray) -> np.ndarray:
    """The painting (size, size, 3) seen by a camera: view, object, light, colour, blur, grain."""
    image = np.ascontiguousarray(painting, np.float32)
    if canvas.chance(0.45):
        image = view(canvas, image)
    if canvas.chance(0.12):  # no photograph, but a print or a drawing on the screen
        return np.clip(image, 0, 1)
    if canvas.chance(0.1):
        image = cut_out(canvas, image)
    if canvas.chance(0.8):
        image = uneven_light(canvas, image)
    image = develop(canvas, image)
    if canvas.chance(0.5):
        image = blur(image, canvas.uniform(0.001, 0.005))
    return np.clip(image + grain(canvas, canvas.uniform(0.003, 0.03))[..., None], 0, 1)


def view(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The image under a tilt, a bend of the surface, or both, with no border showing."""
    x, y = canvas.grid()
    tilt_x, tilt_y = canvas.rng.uniform(-0.35, 0.35, 2).astype(np.float32)
    depth = 1 + tilt_x * x + tilt_y * y
    zoom = np.float32((1 - 0.5 * (abs(tilt_x) + abs(tilt_y))) * canvas.uniform(0.9, 1))
    u, v = x * zoom / depth, y * zoom / depth
    kind = canvas.pick("plane", "plane", "plane", "cylinder", "cloth")
    if kind == "cylinder":
        bend = np.float32(canvas.uniform(0.1, 0.3))
        if canvas.chance(0.5):
            u = u * (1 - bend * (1 - 4 * u * u))
        else:
            v = v * (1 - bend * (1 - 4 * v * v))
    elif kind == "cloth":
        fold = np.float32(canvas.uniform(0.003, 0.009))
        u, v = u + fold * noise(canvas, 0.4), v + fold * noise(canvas, 0.4)
    return sample(image, u, v)


def cut_out(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The texture on a large object only, before a plain or softly shaded background."""
    shape = canvas.pick("blob", "ellipse", "rectangle")
    x, y = canvas.grid()
    offset_x, offset_y = canvas.rng.uniform(-0.06, 0.06, 2).astype(np.float32)
    u, v = turned(x - offset_x, y - offset_y, canvas.uniform(-0.4, 0.4))
    half_u, half_v = canvas.rng.uniform(0.34, 0.48, 2).astype(np.float32)
    if shape == "blob":
        mask = polygons(canvas, [blob(canvas, (offset_x, offset_y), 0.42, rough=0.15)])
    elif shape == "ellipse":
        mask = above(1 - np.hypot(u / half_u, v / half_v))
    else:
        mask = above(1 - np.maximum(np.abs(u) / half_u, np.abs(v) / half_v))
    fall = np.float32(canvas.uniform(-0.3, 0.3)) * y
    background = canvas.colour("white", "white", "black", "grey", "beige", "silver", "brown")
    backdrop = background + fall[..., None]
    shadow = blur(mask, 0.02) * np.float32(canvas.uniform(0.1, 0.4))
    return mix(backdrop * (1 - shadow)[..., None], image, mask)


def uneven_light(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """The image under a light that falls off to one side, in patches, or to the corners."""
    x, y = canvas.grid()
    angle, strength = canvas.uniform(0, tau), canvas.uniform(0.05, 0.45)
    light = 1 + np.float32(strength * np.cos(angle)) * x + np.float32(strength * np.sin(angle)) * y
    if canvas.chance(0.3):
        light = light + np.float32(canvas.uniform(0.03, 0.1)) * noise(canvas, 0.5)
    if canvas.chance(0.3):
        corners = smoothstep(np.hypot(x, y), 0.25, 0.8)
        light = light * (1 - np.float32(canvas.uniform(0.2, 0.5)) * corners)
    return image * light[..., None]


def develop(canvas: Canvas, image: np.ndarray) -> np.ndarray:
    """Exposure, contrast, saturation and white balance of a random camera; sometimes greyscale."""
    gain, lift = canvas.uniform(0.85, 1.12), canvas.uniform(-0.04, 0.06)
    # A camera exposes a scene of dark paints for longer, so that its texture shows.
    gain *= max(1.0, DARKEST_MEAN / max(float(image.mean()), 1e-3))
    if canvas.chance(0.1):
        grey = unit(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[..., None]
        low = canvas.uniform(0, 0.35)
        return np.repeat(low + (canvas.uniform(0.65, 1) - low) * grey, 3, 2)
    balance = 1 + canvas.rng.normal(0, 0.04, 3)
    saturation = canvas.uniform(0.45, 1.15)
    luma = (1 - saturation) * np.ones((3, 1)) * [0.299, 0.587, 0.114]
    mixing = (saturation * np.eye(3) + luma) @ np.diag(balance * gain)
    affine = np.hstack([mixing, np.full((3, 1), lift)]).astype(np.float32)
    return np.clip(cv2.transform(image, affine), 0, 1) ** np.float32(canvas.uniform(0.8, 1.25))
