"""Images to input tensors, by the formula that `config.json` documents (contracts `Preprocessing`).

Called by evaluate workers. Pixels are 0–255 in the named colour mode whatever the file holds: EXIF orientation is
applied, 16-bit grey is scaled down, palettes are looked up, and an alpha channel is dropped (as training libraries do).
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from modelyard_contracts.package import Preprocessing
from modelyard_formats.errors import BadImage
from modelyard_formats.running import Array

MAX_PIXELS = 64_000_000
MAX_SIDE_RATIO = 1_000
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # none of them starts another program
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def load_image(source: Path | bytes, name: str) -> Image.Image:
    """A decoded, upright image. Raises `BadImage` naming `name` when it is broken, too large or of another format."""
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            _check_size(image, name)
            image.load()
            return ImageOps.exif_transpose(image)
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(name, f"{name} is too large", f"at most {MAX_PIXELS:,} pixels") from error
    except Exception as error:  # decoders raise many types on broken bytes
        rule = f"a complete image: {', '.join(FORMATS)}"
        raise BadImage(name, f"{name} is truncated or no image: {error}", rule) from error


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImage(name, f"{name} has {width * height:,} pixels", f"at most {MAX_PIXELS:,} pixels")
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise BadImage(name, f"{name} is {width} x {height}", f"sides differ at most {MAX_SIDE_RATIO}-fold")


def image_to_tensor(image: Image.Image, preprocessing: Preprocessing) -> Array:
    """Shape [1, channels, height, width] or [1, height, width, channels], in the wanted dtype.

    Raises `BadImage` for floating-point images: nothing says what range their pixels have.
    """
    resized = _resize(_in_color_mode(image, preprocessing.color_mode), preprocessing)
    pixels = np.asarray(resized, dtype=np.float32).reshape(*preprocessing.size, -1)
    if preprocessing.color_mode == "BGR":
        pixels = pixels[:, :, ::-1]
    mean, std = np.asarray(preprocessing.mean, np.float32), np.asarray(preprocessing.std, np.float32)
    values = (pixels * np.float32(preprocessing.scale) - mean) / std
    if preprocessing.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(_cast(values, preprocessing.dtype))[np.newaxis]


def _in_color_mode(image: Image.Image, mode: str) -> Image.Image:
    wanted = "L" if mode == "L" else "RGB"
    if image.mode == "F":
        raise BadImage("image", "floating-point images are not supported", "pixels are whole numbers")
    if image.mode in _SIXTEEN_BIT:
        wide = np.asarray(image).astype(np.float64).clip(0, 65535)
        image = Image.fromarray(np.rint(wide / 257).astype(np.uint8))
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return image.convert(wanted)


def _resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """`center_crop` fills the target and cuts what sticks out; `letterbox` fits inside it and pads with 0."""
    height, width = preprocessing.size
    if preprocessing.resize == "center_crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    if preprocessing.resize == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    factor = min(width / image.width, height / image.height)
    inside = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(image.resize(inside, Image.Resampling.BILINEAR), ((width - inside[0]) // 2, (height - inside[1]) // 2))
    return canvas


def _cast(values: NDArray[np.float32], dtype: str) -> Array:
    if dtype.startswith("float"):
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(values).clip(limits.min, limits.max).astype(dtype)
