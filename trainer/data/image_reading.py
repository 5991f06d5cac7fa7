"""Image files to predict: read, checked and decoded in parallel, ahead of their use."""

import contextlib
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.decoding import decode_batch, decode_upright, inspect, read_image
from trainer.errors import UserError
from trainer.io.files import read_bytes

# Files that one thread reads, and decodes in one call.
_PART = 64
# Files of an object store wait for the network.
_THREADS = 8
# Parts that are read ahead, so that the threads are busy while a batch is computed.
_AHEAD = 16
# Of images that are decoded in one call, and of those that only one thread decodes at a time.
_MOST_PIXELS = 2**24

Read = tuple[str, NDArray[np.uint8] | UserError]


def read_images(
    files: Iterable[tuple[str, UserError | None]], shape: Sequence[int]
) -> Iterator[Read]:
    """The pixels of image files, as the network gets them in training.

    Memory does not depend on the number of files: at most 1024 are read ahead.

    Args:
      files: paths, local or remote, and why one cannot be read where that is known.
      shape: height, width and channels.

    Yields:
      For each file in order its path, and uint8 `[H, W, C]` or why it cannot be used.
    """
    remaining = iter(files)
    parts: deque[Future[list[Read]]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            while True:
                while len(parts) < _AHEAD and (part := list(islice(remaining, _PART))):
                    parts.append(pool.submit(_read_part, part, tuple(shape)))
                if not parts:
                    return
                yield from parts.popleft().result()
        finally:
            # Whoever stops early does not wait for what is read ahead.
            for part_ahead in parts:
                part_ahead.cancel()


def _read_part(files: Sequence[tuple[str, UserError | None]], shape: tuple[int, ...]) -> list[Read]:
    read: dict[int, NDArray[np.uint8] | UserError] = {}
    contents: dict[int, bytes] = {}
    codes: list[int] = []
    pixels = 0

    def decode_waiting() -> None:
        nonlocal pixels
        places = [files[number][0] for number in contents]
        decoded = _decode(list(contents.values()), codes, places, shape, pixels)
        read.update(zip(contents, decoded, strict=True))
        contents.clear()
        codes.clear()
        pixels = 0

    for number, (path, error) in enumerate(files):
        try:
            if error:
                raise error
            image = read_bytes(path)
            info = inspect(image, path)
        except UserError as wrong:
            read[number] = wrong
            continue
        if pixels + info.height * info.width > _MOST_PIXELS:
            decode_waiting()
        contents[number] = image
        codes.append(0 if info.needs_pillow else info.orientation)
        pixels += info.height * info.width
    decode_waiting()
    return [(path, read[number]) for number, (path, _) in enumerate(files)]


# Several images of 10^8 pixels would not fit into memory at once.
_large = threading.Lock()


def _decode(
    contents: Sequence[bytes],
    codes: Sequence[int],
    places: Sequence[str],
    shape: tuple[int, ...],
    pixels: int,
) -> Sequence[NDArray[np.uint8] | UserError]:
    """Each image's pixels, or why it cannot be decoded."""
    if not contents:
        return []
    with _large if pixels > _MOST_PIXELS else contextlib.nullcontext():
        try:
            with tf.device("/cpu:0"):
                images: NDArray[np.uint8] = _compiled(shape, set(codes) == {1})(
                    tf.constant(contents), tf.constant(codes)
                ).numpy()
            return list(images)
        except tf.errors.OpError:
            # One of them is broken behind its header.
            return [
                _decode_alone(image, place, shape)
                for image, place in zip(contents, places, strict=True)
            ]


def _decode_alone(
    contents: bytes, place: str, shape: tuple[int, ...]
) -> NDArray[np.uint8] | UserError:
    *size, channels = shape
    try:
        return read_image(contents, place, size, channels)
    except UserError as error:
        return error


@functools.cache
def _compiled(
    shape: tuple[int, ...], are_upright: bool
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    signature = (tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.int32))

    def decode(contents: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        if are_upright:
            return decode_upright(contents, shape)
        return decode_batch(contents, codes, shape)

    return tf.function(decode, input_signature=signature)
