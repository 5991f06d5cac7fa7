"""Whether images fit into memory, asked before they are read."""

import math
from collections.abc import Iterable

from trainer.io.memory import check_fits

# While a source is cut into its splits, and again while TensorFlow has its own.
_COPIES = 2


def check_images_fit(examples: int, shape: Iterable[int], what: str) -> None:
    """Refuses uint8 images that would take more than most of the memory available.

    Raises:
      UserError: naming both sizes; `what` names the data set.
    """
    check_fits(_COPIES * examples * math.prod(shape), "take a smaller data.image_size", what)
