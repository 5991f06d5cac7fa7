"""Images are checked once while they are indexed: the header first, then a full decoding."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.decoding import decode_any, inspect, read_image
from trainer.errors import UserError

_PARALLEL = 4


class Checked(NamedTuple):
    """What decoding must know of images, and which are broken.

    Attributes:
      codes: see `decode_any`, int8 `[N]`.
      sizes: height and width, int32 `[N, 2]`.
      errors: why an image cannot be used, text `[N]`; "" if it can.
    """

    codes: NDArray[np.int8]
    sizes: NDArray[np.int32]
    errors: list[str]


def check_images(images: Sequence[bytes], where: Sequence[str]) -> Checked:
    """Reads the header of each image, then decodes all of them.

    Args:
      images: contents of image files.
      where: the place of each, for messages.
    """
    codes = np.zeros(len(images), np.int8)
    sizes = np.zeros((len(images), 2), np.int32)
    errors = [""] * len(images)
    for number, (image, place) in enumerate(zip(images, where, strict=True)):
        try:
            info = inspect(image, place)
        except UserError as error:
            errors[number] = str(error)
            continue
        codes[number] = 0 if info.needs_pillow else info.orientation
        sizes[number] = info.height, info.width
    whole = [number for number, error in enumerate(errors) if not error]
    try:
        _decode_all(tf.constant([images[n] for n in whole], tf.string), codes[whole])
    except (tf.errors.OpError, UserError):
        # One of them is broken behind its header.
        for number in whole:
            try:
                read_image(images[number], where[number], (), 3)
            except UserError as error:
                errors[number] = str(error)
    return Checked(codes, sizes, errors)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int8)])
def _decode_all(images: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """The number of pixels of each image."""
    return tf.map_fn(
        lambda image: tf.size(decode_any(image[0], tf.cast(image[1], tf.int32), (), 3)),
        (images, codes),
        fn_output_signature=tf.int32,
        # The images have their own sizes, and are decoded at once.
        parallel_iterations=_PARALLEL,
    )


def common_size(splits: Iterable[tuple[NDArray[np.int32], Callable[[int], str]]]) -> list[int]:
    """Height and width of all images.

    Args:
      splits: the sizes `[N, 2]` of the images of each split, and the place of each.

    Raises:
      UserError: if they differ.
    """
    first: NDArray[np.int32] | None = None
    for sizes, where in splits:
        first = sizes[0] if first is None else first
        different = np.flatnonzero((sizes != first).any(axis=1))
        if len(different):
            raise UserError(
                "the images differ in size; set data.image_size=HEIGHT,WIDTH. Received: "
                f"{tuple(first.tolist())} and {tuple(sizes[different[0]].tolist())} in "
                f"{where(int(different[0]))}"
            )
    assert first is not None, "there is a training split"
    size: list[int] = first.tolist()
    return size
