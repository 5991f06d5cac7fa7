"""Real examples of a run, as a user has them and as they are stored."""

import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trainer.compat.keras import tf
from trainer.config.data import CSV, Data, ImageFolder, Parquet
from trainer.data.decoding import read_image
from trainer.data.examples import Examples
from trainer.data.signature import Column, Signature
from trainer.data.sources.image_folder import usable_files
from trainer.data.tables import cells
from trainer.data.tables.encoding import encode
from trainer.data.tables.reading import open_table
from trainer.errors import UserError
from trainer.export.cells import input_specs
from trainer.export.encoded_images import orientation
from trainer.io.files import read_bytes

# Examples that an export is compared on.
_COUNT = 64


class Samples(NamedTuple):
    """The same examples twice.

    Attributes:
      inputs: what a user has, by the name of the input: bytes of image files, or cells; `[N]` each.
      stored: images uint8 `[N, H, W, C]`, or rows float32 `[N, columns]`.
    """

    inputs: dict[str, NDArray[Any]]
    stored: NDArray[Any]


def take(data: Data, signature: Signature, examples: Examples) -> Samples:
    """Some examples of a run.

    Args:
      data: the section of the run. The files of an image folder and the rows of a table are read
        again; other images are encoded as PNG.
      signature: of the run.
      examples: a split.

    Raises:
      UserError: if no file of the folder can be decoded by TensorFlow.
    """
    if isinstance(data, CSV | Parquet):
        return _rows(data, signature)
    if isinstance(data, ImageFolder):
        return _images(_files(data), signature)
    stored = first(examples, _COUNT)
    if signature.columns:
        names = [spec.name for spec in input_specs(signature.columns).values()]
        return Samples(dict(zip(names, stored.T, strict=True)), stored)
    if stored.dtype != np.uint8:
        return Samples({"images": stored}, stored)
    return _images([_png(image) for image in stored], signature)


def first(examples: Examples, count: int) -> NDArray[Any]:
    """The stored features of some examples that are spread evenly over a split."""
    count = min(count, len(examples))
    positions = np.linspace(0, len(examples) - 1, count).astype(np.int64)
    return np.concatenate([*examples.select(positions).chunks()])


def _png(image: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _files(data: ImageFolder) -> list[bytes]:
    """The contents of some image files that an exported graph decodes as training does."""
    # Pillow decodes those of code 0.
    files = [(name, code) for name, code in usable_files(data) if code]
    places = np.linspace(0, len(files) - 1, min(_COUNT, len(files))).astype(int)
    found = []
    for name, code in (files[place] for place in places):
        contents = read_bytes(name)
        # Pillow also finds orientations that are not in the EXIF data of a JPEG.
        if int(orientation(tf.constant(contents))) == code:
            found.append(contents)
    if not found:
        raise UserError(
            f"none of the images in {data.path} that were tried can be decoded by TensorFlow "
            "alone, as an export does; it decodes JPEG with one or three channels, and PNG and BMP "
            "with 8 bits per channel"
        )
    return found


def _images(contents: list[bytes], signature: Signature) -> Samples:
    height, width, channels = signature.stored_shape
    stored = [read_image(each, "an example", (height, width), channels) for each in contents]
    return Samples({"images": np.array(contents, object)}, np.stack(stored))


def _rows(data: CSV | Parquet, signature: Signature) -> Samples:
    specs = input_specs(signature.columns)
    table = open_table(data.path, data)
    block = next(iter(table.blocks([*specs])))
    block = block.take(range(min(_COUNT, len(block.places))))
    rows, wrong = encode(block.cells, signature.columns, len(block.places))
    is_wrong = {each.row for each in wrong}
    usable = [row for row in range(len(rows)) if row not in is_wrong]
    inputs = {
        spec.name: _column(block.take(usable).cells[name], name, signature.columns)
        for name, spec in specs.items()
    }
    return Samples(inputs, rows[usable])


def _column(texts: Any, name: str, columns: tuple[Column, ...]) -> NDArray[Any]:
    (kind,) = {column.type for column in columns if column.name == name}
    if kind != "numeric":
        return np.array(texts, object)
    numbers = [np.nan if cells.is_missing(text) else cells.number(text) for text in texts]
    return np.array(numbers, np.float32)


def calibration(examples: Examples, count: int) -> Iterator[tf.Tensor]:
    """Stored examples float32 `[1, ...]` of the training split, to measure ranges on."""
    for example in first(examples, count):
        yield tf.constant(example[np.newaxis], tf.float32)
