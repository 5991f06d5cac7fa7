import numpy as np
import pytest
from PIL import Image

from trainer.data import image_reading
from trainer.data.decoding import read_image
from trainer.data.image_reading import read_images
from trainer.errors import UserError

RANDOM = np.random.default_rng(0)


def write(folder, count):
    paths = []
    for number in range(count):
        path = folder / f"{number}.{('png', 'jpg', 'gif')[number % 3]}"
        Image.fromarray(RANDOM.integers(0, 256, (8 + number % 5, 9, 3), np.uint8)).save(path)
        paths.append(str(path))
    return paths


def read(paths, shape=(6, 5, 3)):
    return list(read_images(((path, None) for path in paths), shape))


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_and_order_are_those_of_one_file_after_the_other(channels, tmp_path, monkeypatch):
    monkeypatch.setattr(image_reading, "_PART", 4)
    paths = write(tmp_path, 30)
    names, images = zip(*read(paths, (6, 5, channels)), strict=True)
    assert list(names) == paths
    for path, image in zip(paths, images, strict=True):
        with open(path, "rb") as file:
            expected = read_image(file.read(), path, (6, 5), channels)
        np.testing.assert_array_equal(image, expected)


def test_only_broken_images_are_named(tmp_path):
    paths = write(tmp_path, 9)
    (tmp_path / "0.png").write_bytes(b"")
    jpeg = (tmp_path / "1.jpg").read_bytes()
    (tmp_path / "1.jpg").write_bytes(jpeg[:-20])
    png = bytearray((tmp_path / "3.png").read_bytes())
    # The header and the checksums are right; the pixels cannot be decompressed.
    import struct
    import zlib

    start = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[start - 4 : start])
    png[start + 4 : start + 4 + length] = bytes(length)
    checksum = zlib.crc32(png[start : start + 4 + length])
    png[start + 4 + length : start + 8 + length] = struct.pack(">I", checksum)
    (tmp_path / "3.png").write_bytes(png)
    Image.new("L", (20_000, 20_000)).save(tmp_path / "4.jpg", "PNG")
    paths.append(str(tmp_path / "none.png"))
    broken = [path for path, image in read(paths) if isinstance(image, UserError)]
    names = ("0.png", "1.jpg", "3.png", "4.jpg", "none.png")
    assert broken == [str(tmp_path / name) for name in names]
    assert all(path in str(error) for path, error in read(paths) if path in broken)


def test_errors_of_the_listing_are_passed_on():
    error = UserError("no file matches")
    assert list(read_images([("*.png", error)], (6, 5, 3))) == [("*.png", error)]


def test_large_images_are_decoded_apart(tmp_path, monkeypatch):
    paths = write(tmp_path, 12)
    expected = read(paths)
    monkeypatch.setattr(image_reading, "_MOST_PIXELS", 100)
    for (_, image), (_, other) in zip(read(paths), expected, strict=True):
        np.testing.assert_array_equal(image, other)


def test_files_are_listed_as_they_are_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(image_reading, "_PART", 2)
    (path,) = write(tmp_path, 1)
    listed = 0

    def endless():
        nonlocal listed
        while True:
            listed += 1
            yield path, None

    images = read_images(endless(), (6, 5, 3))
    for _ in range(100):
        next(images)
    assert listed <= 100 + 2 * (image_reading._AHEAD + 1)
    images.close()
