"""However an image is stored, a model sees the same; what is none gives one clear error."""

import base64
import io
import os
import pickle
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from captcha_helpers.data.images import (
    BlankImageError,
    ImageError,
    TooManyPixelsError,
    load_image,
    prepare,
    prepare_batch,
    to_grey,
)
from captcha_helpers.data.processing import Processing

REAL = Path(__file__).parents[3] / "shared" / "real"

# A black bar on white, 12 pixels high and 20 wide.
BAR = np.full((12, 20), 255, np.uint8)
BAR[4:8, 3:17] = 0
BAR_RGB = np.repeat(BAR[:, :, None], 3, axis=2)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def transparent_bar() -> Image.Image:
    """The bar as black ink on transparent black: without its alpha all of it is black."""
    rgba = np.zeros((12, 20, 4), np.uint8)
    rgba[:, :, 3] = 255 - BAR
    return Image.fromarray(rgba)


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


def transparent_palette() -> bytes:
    image = Image.fromarray((BAR > 0).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0] * 256)
    return encoded(image, transparency=1)


def sixteen_bits(**options) -> bytes:
    return encoded(Image.fromarray(BAR.astype(np.uint16) * 257), **options)


WHITE = {"LA": 255, "L": 255, "RGB": (255, 255, 255), "I;16": 65535}
SAME_PIXELS = {
    "RGB PNG": encoded(Image.fromarray(BAR_RGB)),
    "grey PNG": encoded(Image.fromarray(BAR)),
    "1-bit PNG": encoded(Image.fromarray(BAR).convert("1")),
    "palette PNG": encoded(Image.fromarray(BAR_RGB).convert("P")),
    "16-bit PNG": sixteen_bits(),
    "RGBA PNG": encoded(transparent_bar()),
    "LA PNG": encoded(transparent_bar().convert("LA")),
    "palette PNG with a transparent colour": transparent_palette(),
    "grey PNG with a transparent grey": encoded(Image.fromarray(BAR // 5), transparency=51),
    "16-bit PNG with a transparent grey": encoded(
        Image.fromarray((BAR // 5).astype(np.uint16) * 257), transparency=51 * 257
    ),
    "GIF": encoded(Image.fromarray(BAR), "GIF"),
    "BMP": encoded(Image.fromarray(BAR_RGB), "BMP"),
    "WebP": encoded(Image.fromarray(BAR_RGB), "WEBP", lossless=True),
    "TIFF": encoded(Image.fromarray(BAR_RGB), "TIFF"),
    "TIFF in LZW": encoded(Image.fromarray(BAR_RGB), "TIFF", compression="tiff_lzw"),
    "16-bit TIFF": encoded(Image.fromarray(BAR.astype(np.uint16) * 257), "TIFF"),
    "WebP with alpha": encoded(transparent_bar(), "WEBP", lossless=True, exact=True),
    "animated GIF, first frame": encoded(
        Image.fromarray(BAR), "GIF", save_all=True, append_images=[Image.fromarray(255 - BAR)]
    ),
}


@pytest.mark.parametrize("data", SAME_PIXELS.values(), ids=SAME_PIXELS.keys())
def test_every_kind_of_file_gives_the_same_pixels(data, tmp_path):
    path = tmp_path / "bar.png"
    path.write_bytes(data)
    for source in (data, path, str(path), Image.open(io.BytesIO(data))):
        image = load_image(source)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, BAR_RGB)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg(mode):
    image = load_image(encoded(Image.fromarray(BAR_RGB).convert(mode), "JPEG", quality=95))
    np.testing.assert_allclose(image.astype(int), BAR_RGB, atol=12)


@pytest.mark.parametrize(
    "array",
    [
        BAR,
        BAR[:, :, None],
        BAR_RGB,
        np.asarray(transparent_bar()),
        BAR.astype(np.uint16) * 257,
        (BAR.astype(np.uint16) * 257).astype(">u2"),
        np.asarray(transparent_bar()).astype(np.uint16) * 257,
        (np.asarray(transparent_bar()).astype(np.uint16) * 257).astype(">u2"),
        BAR_RGB[::-1][::-1],
    ],
    ids=lambda array: f"{array.shape} {array.dtype.str}",
)
def test_every_kind_of_array_gives_the_same_pixels(array):
    before = array.copy()
    image = load_image(array)
    np.testing.assert_array_equal(image, BAR_RGB)
    image[:] = 7
    np.testing.assert_array_equal(array, before)


@given(arrays(np.uint8, (4, 5, 4)))
def test_transparency_is_mixed_with_white(rgba):
    colour, alpha = rgba[:, :, :3].astype(float), rgba[:, :, 3:] / 255
    expected = colour * alpha + 255 * (1 - alpha)
    assert np.abs(load_image(rgba) - expected).max() <= 0.5 + 1e-9


@given(arrays(np.uint16, (4, 5)))
def test_16_bits_are_scaled_not_cut(values):
    expected = np.rint(values / 257)
    for source in (values, encoded(Image.fromarray(values))):
        np.testing.assert_array_equal(to_grey(source), expected)


HOLDERS = {
    "bytearray": bytearray,
    "memoryview": memoryview,
    "BytesIO": io.BytesIO,
    "data URI": lambda data: "data:image/png;base64," + base64.b64encode(data).decode(),
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64 in lines": lambda data: base64.encodebytes(data).decode(),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS.keys())
def test_whatever_holds_the_file_gives_the_same_pixels(hold):
    np.testing.assert_array_equal(load_image(hold(SAME_PIXELS["RGB PNG"])), BAR_RGB)


def test_an_open_file_is_read_from_its_beginning_and_left_where_it_was(tmp_path):
    (tmp_path / "bar.png").write_bytes(SAME_PIXELS["RGB PNG"])
    with open(tmp_path / "bar.png", "rb") as file:
        file.seek(7)
        np.testing.assert_array_equal(load_image(file), BAR_RGB)
        assert file.tell() == 7
    with open(tmp_path / "bar.png") as file, pytest.raises(ImageError, match="mode 'rb'|be read"):
        load_image(file)


def test_avif():
    pytest.importorskip("PIL.AvifImagePlugin")
    image = load_image(encoded(Image.fromarray(BAR_RGB), "AVIF", quality=95))
    np.testing.assert_allclose(image.astype(int), BAR_RGB, atol=20)


@pytest.mark.parametrize("text", ["data:image/png;base64,", "iVBORw0KGgo", "data:text/html,"])
def test_text_that_is_no_image_is_not_repeated(text):
    with pytest.raises(ImageError) as caught:
        load_image(text + "A" * 4001)
    assert len(str(caught.value)) < 300
    with pytest.raises(ImageError) as caught:
        load_image("a" * 100_000)
    assert len(str(caught.value)) < 300


STORED = {1: 0, 3: 2, 6: 1, 8: 3}  # EXIF's number, and how often to rotate by 90 degrees before


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "turns"), STORED.items())
def test_exif_orientation_is_applied(kind, orientation, turns):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.rot90(BAR_RGB, turns))
    options = {"lossless": True} if kind == "WEBP" else {} if kind == "TIFF" else {"quality": 95}
    data = encoded(image, kind, exif=exif, **options)
    sources = [data, Image.open(io.BytesIO(data))]
    for source in sources:
        np.testing.assert_allclose(load_image(source).astype(int), BAR_RGB, atol=12)


ODD_EXIF = {
    "nothing": b"",
    "text": b"hello",
    "no tags": b"II*\0\x08\0\0\0\0\0",
    "a place behind its end": b"II*\0\xff\xff\xff\xff",
    "65,535 tags": b"MM\0*\0\0\0\x08\xff\xff" + bytes(60_000),
    "an orientation that there is not": b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x63\0\0\0",
    "an orientation of text": b"II*\0\x08\0\0\0\1\0\x12\1\2\0\1\0\0\0\6\0\0\0",
}


@pytest.mark.parametrize("exif", ODD_EXIF.values(), ids=ODD_EXIF.keys())
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_metadata_changes_nothing_and_warns_of_nothing(kind, exif):
    plain = encoded(Image.fromarray(BAR_RGB), kind)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="99999"/></x:xmpmeta>'
    odd = encoded(Image.fromarray(BAR_RGB), kind, exif=b"Exif\0\0" + exif)
    if kind == "JPEG":
        segment = b"http://ns.adobe.com/xap/1.0/\0" + xmp
        odd = odd[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + odd[2:]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load_image(odd), load_image(plain))
        np.testing.assert_array_equal(prepare(odd, 12, 20), prepare(plain, 12, 20))


def test_a_pillow_image_is_left_as_it_is():
    image = transparent_bar()
    before = image.tobytes(), image.mode, image.size, dict(image.info)
    load_image(image)
    assert (image.tobytes(), image.mode, image.size, dict(image.info)) == before


PNG = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 200, 3), np.uint8)))
JPEG = encoded(Image.open(io.BytesIO(PNG)), "JPEG")
BAD_FILES = {
    "zero bytes": (b"", "0 bytes"),
    "text": (b"<html>404 not found</html>", "not a PNG.*error page"),
    "truncated PNG": (PNG[: len(PNG) // 2], "cut short"),
    "PNG that ends in its header": (PNG[:20], "not a PNG|cut short"),
    "truncated JPEG": (JPEG[: len(JPEG) // 2], "cut short"),
    "truncated GIF": (encoded(Image.open(io.BytesIO(PNG)), "GIF")[:900], "cut short"),
    "truncated WebP": (encoded(Image.open(io.BytesIO(PNG)), "WEBP")[:200], "not a PNG|cut short"),
    "PNG with a damaged byte": (PNG[:3000] + b"!" + PNG[3001:], "checksum of its part IDAT"),
    "1x1": (encoded(Image.new("RGB", (1, 1))), "only 1x1 pixels, at least 4x4"),
    "200x2": (encoded(Image.new("RGB", (200, 2))), "only 200x2 pixels"),
    "7000x7000": (png_header(7_000, 7_000), "larger than 4,000,000 pixels"),
    "10000x10000": (png_header(10_000, 10_000), "larger than 4,000,000 pixels"),
    "20000x20000": (png_header(20_000, 20_000), "larger than 4,000,000 pixels"),
    "PPM": (encoded(Image.fromarray(BAR), "PPM"), "not a PNG"),
    "SVG": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "a long line": (png_header(4_000, 30), "4000x30 pixels.*100 times the other"),
    "a long side": (png_header(20_000, 200), "20000x200 pixels.*10,000 pixels"),
}


@pytest.mark.parametrize(("data", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_files_give_one_clear_error(data, message, tmp_path):
    path = tmp_path / "x7k2.png"
    path.write_bytes(data)
    for source, name in ((path, str(path)), (data, "the image bytes")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ImageError, match=message) as caught:
                load_image(source)
        assert str(caught.value).startswith(f"{name}: ")
        # No traceback of Pillow's is printed above it.
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ImageError, match="nowhere.png: there is no such file"):
        load_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image(tmp_path)


NOISE_JPEG = encoded(Image.open(io.BytesIO(PNG)), "JPEG", quality=90)
PROGRESSIVE = encoded(Image.open(io.BytesIO(PNG)), "JPEG", quality=90, progressive=True)


@pytest.mark.parametrize("data", [NOISE_JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
def test_a_jpeg_that_ends_early_is_told_though_it_has_an_end(data, share):
    cut = data[: int(share * len(data))] + b"\xff\xd9"
    load_image(data)
    for read in (load_image, lambda image: prepare(image, 48, 144)):
        with pytest.raises(ImageError, match="damaged or cut short.*strict=False"):
            read(cut)
    assert load_image(cut, strict=False).shape == (50, 200, 3)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("grey", [0, 100, 128, 160])
def test_a_whole_jpeg_is_not_taken_for_one_that_ends_early(grey, mode, options):
    """A decoder fills in mid-grey, and an image may have that too."""
    image = Image.fromarray(np.where(BAR_RGB == 255, grey, BAR_RGB).astype(np.uint8)).convert(mode)
    assert load_image(encoded(image, "JPEG", **options)).shape == (12, 20, 3)


def test_a_png_with_a_wrong_checksum_is_read_if_asked_for():
    place = PNG.index(b"IDAT") + 4 + int.from_bytes(PNG[(at := PNG.index(b"IDAT")) - 4 : at], "big")
    broken = PNG[:place] + bytes(4) + PNG[place + 4 :]
    with pytest.raises(ImageError, match="the checksum of its part IDAT is wrong"):
        load_image(broken)
    np.testing.assert_array_equal(load_image(broken, strict=False), load_image(PNG))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_need_not_end_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for path in (tmp_path / "a.png", "/dev/zero", "/dev/null"):
        with pytest.raises(ImageError, match="a pipe or a device"):
            load_image(path)


def test_an_array_has_the_limits_of_a_file():
    huge = np.broadcast_to(np.uint8(255), (20_000, 20_000))
    for array in (huge, huge[:4], huge[:30, :4_000]):
        with pytest.raises(TooManyPixelsError):
            load_image(array)


def test_a_file_of_more_bytes_than_its_pixels_can_have_is_refused(tmp_path):
    path = tmp_path / "a.webp"
    with path.open("wb") as file:
        file.write(encoded(Image.fromarray(BAR_RGB), "WEBP"))
        file.truncate(2**31)
    with pytest.raises(TooManyPixelsError, match="more than 33,000,000 bytes"):
        load_image(path)


def blinking(**options) -> bytes:
    """An empty frame, one with the left half of the bar, one with all of it, one with the right."""
    left, right = BAR.copy(), BAR.copy()
    left[:, 10:] = right[:, :10] = 255
    frames = [Image.fromarray(part) for part in (np.full_like(BAR, 255), left, BAR, right)]
    kind = options.pop("kind", "GIF")
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_which_frame_of_an_animation_is_read(kind):
    data = blinking(kind=kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert (load_image(data) == 255).all()
    with pytest.raises(
        BlankImageError, match="animation with an empty first frame .* --frame most_ink"
    ):
        load_image(data, allow_blank=False)
    np.testing.assert_array_equal(load_image(data, frame="most_ink"), BAR_RGB)
    last = load_image(data, frame="last")
    assert (last[:, :10] == 255).all() and (last[:, 10:] == BAR_RGB[:, 10:]).all()
    blended = load_image(data, frame="blended").astype(int)
    assert (blended[BAR_RGB == 0] == 128).all() and (blended[BAR_RGB == 255] == 255).all()
    seen = prepare(data, 12, 20, Processing(frame="most_ink"))
    np.testing.assert_array_equal(seen[:, :, 0], BAR)
    with pytest.raises(ValueError, match="frame must be"):
        load_image(data, frame="second")


def test_an_animation_of_too_many_frames():
    frames = [Image.fromarray(np.full((12, 20), i % 256, np.uint8)) for i in range(300)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_image(data).shape == (12, 20, 3)
    with pytest.raises(ImageError, match="animation of 300 frames"):
        load_image(data, frame="last")


def test_white_on_nothing_is_blank():
    rgba = np.full((12, 20, 4), 255, np.uint8)
    rgba[:, :, 3] = 255 - BAR
    with pytest.raises(BlankImageError, match="white on a transparent background"):
        load_image(rgba, allow_blank=False)


def test_the_pixel_limit_can_be_moved():
    assert load_image(PNG, max_pixels=10_000).shape == (50, 200, 3)
    for source in (PNG, Image.open(io.BytesIO(PNG))):
        with pytest.raises(ImageError, match="larger than 9,999 pixels.*or raise max_pixels$"):
            load_image(source, max_pixels=9_999)


@pytest.mark.parametrize("side", [7_000, 20_000])
def test_only_what_has_the_limit_as_an_argument_says_that_it_can_be_raised(side):
    for read in (to_grey, lambda image: prepare(image, 48, 144)):
        with pytest.raises(ImageError, match="larger than 4,000,000 .*shrink or crop it$"):
            read(png_header(side, side))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((50, 200, 3)), "float64.*uint8.*255 [*] array"),
        (np.zeros((50, 200), bool), "bool"),
        (np.zeros((50, 200, 2), np.uint8), "needs shape"),
        (np.zeros((7, 50, 200, 3), np.uint8), "needs shape"),
        (np.zeros((1, 1, 3), np.uint8), "only 1x1 pixels"),
        (np.zeros((0, 200), np.uint8), "only 200x0 pixels"),
    ],
    ids=["float", "bool", "2 channels", "batch", "1x1", "empty"],
)
def test_bad_arrays(array, message):
    with pytest.raises(ImageError, match=message):
        load_image(array)


def test_pillow_images_without_a_known_range():
    message = "^the image: its pixels {}; scale them to 0 to 255 and convert the image to mode 'L'$"
    with pytest.raises(ImageError, match=message.format(r"are floats of unknown range.*")):
        load_image(Image.new("F", (8, 8)))
    with pytest.raises(ImageError, match=message.format(r"have more than 16 bits.*70000.*")):
        load_image(Image.new("I", (8, 8), 70_000))


def test_something_else():
    with pytest.raises(TypeError, match="must be a path, bytes, an open file, a Pillow image or"):
        load_image(None)


def test_errors_travel_between_processes():
    error = pickle.loads(pickle.dumps(ImageError("a.png", "broken")))
    assert (str(error), error.name, error.reason) == ("a.png: broken", "a.png", "broken")


def test_grey_stays_grey_and_colours_are_weighted_as_the_eye_does():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_grey(grey), grey)
    colours = np.eye(3, dtype=np.uint8)[[0, 1, 2, 0]] * 255
    assert to_grey(np.tile(colours, (4, 1, 1)))[0].tolist() == [76, 150, 29, 76]


def test_prepare_gives_the_models_size():
    for source in (PNG, BAR, transparent_bar()):
        image = prepare(source, height=48, width=144)
        assert image.shape == (48, 144, 1)
        assert image.dtype == np.uint8
    np.testing.assert_array_equal(prepare(BAR, 12, 20)[:, :, 0], BAR)


def test_shrinking_averages_so_that_thin_strokes_stay():
    stripes = np.zeros((96, 288), np.uint8)
    stripes[:, ::2] = 255
    small = prepare(stripes, height=48, width=72)
    assert small[:, 2:-2].min() >= 126
    assert small[:, 2:-2].max() <= 129


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_batch_is_its_images_one_by_one(channels):
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 60, channels), np.uint8)
    one_by_one = np.stack([prepare(image, 16, 48) for image in images])
    np.testing.assert_array_equal(prepare_batch(images, 16, 48), one_by_one)
    np.testing.assert_array_equal(prepare_batch(list(images), 16, 48), one_by_one)


def test_a_batch_may_mix_sizes_and_kinds_and_be_empty():
    assert prepare_batch([PNG, BAR, transparent_bar()], 16, 48).shape == (3, 16, 48, 1)
    assert prepare_batch([], 16, 48).shape == (0, 16, 48, 1)


def test_one_image_is_not_taken_for_a_batch():
    with pytest.raises(ValueError, match="use prepare for a single image"):
        prepare_batch(np.zeros((50, 200, 4), np.uint8), 16, 48)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not beside this checkout")
def test_real_black_text_on_a_transparent_ground_can_be_seen():
    paths = sorted((REAL / "slanted6").glob("*.png"))
    assert paths
    for path in paths:
        grey = to_grey(path)
        assert grey.min() < 50, path.name
        assert 0.7 < (grey > 250).mean() < 0.99, path.name


@given(
    arrays(np.uint8, st.tuples(st.integers(4, 60), st.integers(4, 60), st.just(3))),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_each_channel_of_a_colour_image_is_resized_as_a_grey_image_is(image, height, width):
    seen = prepare(image, height, width, channels=3)
    planes = [prepare(image[:, :, channel], height, width) for channel in range(3)]
    assert np.array_equal(seen, np.concatenate(planes, axis=2))


def test_transparency_is_white_in_colour_too():
    red = Image.new("RGBA", (20, 12), (255, 0, 0, 0))
    red.paste((255, 0, 0, 255), (0, 0, 10, 12))
    seen = prepare(red, 12, 20, channels=3)
    assert seen[0, 0].tolist() == [255, 0, 0] and seen[0, -1].tolist() == [255, 255, 255]


def test_there_are_grey_and_rgb_and_nothing_else():
    with pytest.raises(ValueError, match="channels must be 1 .grey. or 3 .RGB., received 4"):
        prepare(BAR_RGB, 12, 20, channels=4)
