import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainer.data import decoding
from trainer.data.decoding import inspect
from trainer.data.image_header import ordinary_size
from trainer.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 4), np.uint8)


def encoded(mode, form, **options):
    buffer = io.BytesIO()
    image = Image.fromarray(PIXELS)
    (image if mode == "RGBA" else image.convert("RGB").convert(mode)).save(buffer, form, **options)
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


ORDINARY = {
    "png": ("RGB", "PNG", {}),
    "gray png": ("L", "PNG", {}),
    "png with alpha": ("RGBA", "PNG", {}),
    "palette": ("P", "PNG", {"bits": 8}),
    "jpeg": ("RGB", "JPEG", {}),
    "gray jpeg": ("L", "JPEG", {}),
    "progressive": ("RGB", "JPEG", {"progressive": True}),
    "optimized": ("RGB", "JPEG", {"optimize": True, "dpi": (72, 72)}),
}
OTHERS = {
    "turned jpeg": ("RGB", "JPEG", {"exif": turned()}),
    "turned png": ("RGB", "PNG", {"exif": turned()}),
    "four inks": ("CMYK", "JPEG", {}),
    "two colors": ("1", "PNG", {}),
    "16 bits": ("I;16", "PNG", {}),
    "a transparent color": ("RGB", "PNG", {"transparency": (1, 2, 3)}),
    "gif": ("L", "GIF", {}),
    "bmp": ("RGB", "BMP", {}),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_images_need_no_closer_look(name):
    mode, form, options = ORDINARY[name]
    assert ordinary_size(encoded(mode, form, **options)) == (7, 5)


@pytest.mark.parametrize("name", OTHERS)
def test_other_images_do(name):
    mode, form, options = OTHERS[name]
    assert ordinary_size(encoded(mode, form, **options)) is None


def pillow(contents, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "ordinary_size", lambda _: None)
        try:
            return inspect(contents, "x")
        except UserError:
            return None


@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from([*ORDINARY, *OTHERS]),
    place=st.floats(0, 1),
    byte=st.integers(0, 255),
    cut=st.booleans(),
)
def test_damaged_files_are_judged_as_by_pillow(name, place, byte, cut):
    mode, form, options = {**ORDINARY, **OTHERS}[name]
    contents = bytearray(encoded(mode, form, **options))
    position = int(place * (len(contents) - 1))
    if cut:
        del contents[position:]
    else:
        contents[position] = byte
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = ordinary_size(bytes(contents))
        if found:
            info = pillow(bytes(contents), monkeypatch)
            assert info == decoding.ImageInfo(*found, orientation=1, needs_pillow=False)
