from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from modelyard_contracts.package import Preprocessing
from modelyard_formats.errors import BadImage
from modelyard_formats.images.preprocess import image_to_tensor, load_image


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colored(width: int, height: int) -> Image.Image:
    """Red 0–255 from left to right, green 200, blue 10."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = np.linspace(0, 255, width).astype(np.uint8)
    pixels[:, :, 1:] = 200, 10
    return Image.fromarray(pixels)


def test_the_documented_formula():
    config = Preprocessing(size=(2, 3), scale=1 / 255, mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 0.2))
    image = colored(3, 2)
    tensor = image_to_tensor(image, config)
    pixels = np.asarray(image, np.float64)
    wanted = (pixels / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.4, 0.2]
    assert (tensor.shape, tensor.dtype) == ((1, 3, 2, 3), np.float32)
    np.testing.assert_allclose(tensor[0].transpose(1, 2, 0), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("mode", "layout", "shape", "first"),
    [
        ("RGB", "NCHW", (1, 3, 4, 5), [0, 200, 10]),
        ("BGR", "NCHW", (1, 3, 4, 5), [10, 200, 0]),
        ("RGB", "NHWC", (1, 4, 5, 3), [0, 200, 10]),
        ("BGR", "NHWC", (1, 4, 5, 3), [10, 200, 0]),
        ("L", "NCHW", (1, 1, 4, 5), [119]),
        ("L", "NHWC", (1, 4, 5, 1), [119]),
    ],
)
def test_color_modes_and_layouts(mode, layout, shape, first):
    tensor = image_to_tensor(colored(5, 4), Preprocessing(size=(4, 5), color_mode=mode, layout=layout))
    assert tensor.shape == shape
    assert tensor.flags["C_CONTIGUOUS"]
    corner = tensor[0, :, 0, 0] if layout == "NCHW" else tensor[0, 0, 0]
    assert corner.tolist() == first


@pytest.mark.parametrize(
    ("dtype", "scale", "mean", "wanted"),
    [
        ("uint8", 1, 0, [0, 255]),
        ("int8", 1, 128, [-128, 127]),
        ("uint8", 2, 10, [0, 255]),
        ("float16", 1 / 255, 0, [0, 1]),
        ("uint8", 0.01, 0, [0, 3]),
    ],
)
def test_dtypes_round_and_stay_in_range(dtype, scale, mean, wanted):
    image = Image.fromarray(np.array([[0, 255]], np.uint8))
    config = Preprocessing(size=(1, 2), color_mode="L", dtype=dtype, scale=scale, mean=(mean,))
    tensor = image_to_tensor(image, config)
    assert tensor.dtype.name == dtype
    assert tensor.ravel().tolist() == wanted


def test_an_image_of_the_right_size_is_not_resampled():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    for resize in ("stretch", "center_crop", "letterbox"):
        tensor = image_to_tensor(Image.fromarray(pixels), Preprocessing(size=(8, 8), color_mode="L", resize=resize))
        np.testing.assert_array_equal(tensor[0, 0], pixels)


def test_resize_rules():
    pixels = np.full((10, 30), 90, np.uint8)
    pixels[:, :10], pixels[:, 20:] = 10, 200
    image = Image.fromarray(pixels)

    def row(resize: str) -> list[float]:
        return image_to_tensor(image, Preprocessing(size=(10, 10), color_mode="L", resize=resize))[0, 0, 5].tolist()

    stretched, cropped, boxed = (row(rule) for rule in ("stretch", "center_crop", "letterbox"))
    assert (stretched[0], stretched[-1]) == (10, 200)
    assert cropped == [90] * 10
    assert (boxed[0], boxed[-1]) == (10, 200)
    tensor = image_to_tensor(image, Preprocessing(size=(10, 10), color_mode="L", resize="letterbox"))[0, 0]
    assert not tensor[:3].any()
    assert not tensor[6:].any()
    assert tensor[3:6].all()


def test_letterbox_keeps_at_least_one_pixel():
    config = Preprocessing(size=(4, 4), color_mode="L", resize="letterbox")
    assert image_to_tensor(Image.new("L", (900, 1), 255), config).sum() == 4 * 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "1", "CMYK", "YCbCr", "HSV", "I;16", "I", "PA", "RGBa"])
def test_every_pixel_mode_becomes_rgb_and_grey(mode):
    source = Image.new("L", (4, 4), 255)
    if mode in ("I;16", "I"):
        image = Image.fromarray(np.full((4, 4), 65535, np.uint16))
        image = image if mode == "I;16" else image.convert("I")
    elif mode == "RGBa":
        image = source.convert("RGBA").convert(mode)
    else:
        image = source.convert("RGB").convert(mode) if mode in ("HSV", "YCbCr", "CMYK") else source.convert(mode)
    for color_mode in ("RGB", "BGR", "L"):
        tensor = image_to_tensor(image, Preprocessing(size=(4, 4), color_mode=color_mode))
        np.testing.assert_allclose(tensor, 255, atol=1)


def test_sixteen_bit_grey_keeps_its_middle():
    data = encoded(Image.fromarray(np.full((2, 2), 0x8080, np.uint16)))
    tensor = image_to_tensor(load_image(data, "a.png"), Preprocessing(size=(2, 2), color_mode="L"))
    assert tensor.ravel().tolist() == [128] * 4


def test_a_palette_with_transparency():
    image = Image.new("P", (2, 2), 1)
    image.putpalette([0, 0, 0, 7, 8, 9])
    data = encoded(image, transparency=bytes([255, 0]))
    tensor = image_to_tensor(load_image(data, "a.png"), Preprocessing(size=(2, 2)))
    assert tensor[0, :, 0, 0].tolist() == [7, 8, 9]


def test_floating_point_images_are_refused():
    with pytest.raises(BadImage, match="floating-point"):
        image_to_tensor(Image.new("F", (2, 2)), Preprocessing(size=(2, 2)))


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270°
    image = load_image(encoded(colored(8, 4), "JPEG", exif=exif), "a.jpg")
    assert image.size == (4, 8)


def test_batches():
    config = Preprocessing(size=(4, 4))
    batch = np.concatenate([image_to_tensor(image, config) for image in (colored(4, 4), Image.new("L", (9, 9)))])
    assert batch.shape == (2, 3, 4, 4)
    assert not batch[1].any()


def test_a_file_on_disk(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(colored(4, 4)))
    assert load_image(path, "a.png").size == (4, 4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_truncated_images_name_the_file(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, kind)
    assert load_image(data, "x").size == (64, 64)
    with pytest.raises(BadImage, match=r"train/cat\.1 is truncated or no image") as caught:
        load_image(data[: len(data) // 3], "train/cat.1")
    assert caught.value.problems[0].file == "train/cat.1"


@pytest.mark.parametrize("data", [b"", b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"])
def test_other_files_are_no_images(data):
    with pytest.raises(BadImage, match="no image"):
        load_image(data, "a.txt")


@pytest.mark.parametrize("size", [(9_000, 9_000), (20_000, 20_000), (40_000, 10)])
def test_decompression_bombs_are_refused_before_they_are_decoded(size):
    data = encoded(Image.new("1", size))
    assert len(data) < 200_000
    with pytest.raises(BadImage) as caught:
        load_image(data, "bomb.png")
    assert caught.value.problems[0].file == "bomb.png"
