"""Test-time augmentation: logits averaged over several views of each example."""

from collections.abc import Callable, Iterator

from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.supervised.classifier import Classifier


def averaged_logits(classifier: Classifier, kind: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from stored examples `[B, ...]` to logits `[B, classes]` float32 in evaluation.

    Args:
      classifier: its network is used as it is at each call.
      kind: none, flip or flip_translate, as in `evaluate.test_time_augmentation`.

    Raises:
      UserError: if the examples are not images, or too small to be translated.
    """
    shape = classifier.signature.input_shape
    if kind != "none" and (len(shape) != 3 or min(shape[:2]) < 2):
        raise UserError(
            "evaluate.test_time_augmentation applies to images of at least 2 x 2 pixels; set it to "
            f"none for examples of shape {shape}"
        )

    def logits(examples: tf.Tensor) -> tf.Tensor:
        # One view after the other, since all at once would need several times the memory.
        return tf.add_n(
            [
                weight * classifier.logits(view, training=False)
                for weight, view in views(examples, kind)
            ]
        )

    return logits


def views(examples: tf.Tensor, kind: str) -> Iterator[tuple[float, tf.Tensor]]:
    """Views of images `[B, H, W, C]`, each with its weight; the weights add up to 1.

    `flip_translate` follows airbench94 (Jordan, 2024, arXiv:2404.00498): half of the weight is on
    the image and its mirror image, the rest on both translated by one pixel up and left, and down
    and right. Pixels that enter are reflected.
    """
    if kind == "none":
        yield 1.0, examples
    elif kind == "flip":
        yield 0.5, examples
        yield 0.5, tf.reverse(examples, axis=[2])
    else:
        height, width = examples.shape[1:3]
        # GPUs pad no bytes; the network's input is float32 anyway.
        values = tf.cast(examples, tf.float32)
        padded = tf.pad(values, [[0, 0], [1, 1], [1, 1], [0, 0]], mode="REFLECT")
        for weight, first in ((0.25, 0), (0.5, 1), (0.25, 2)):
            shifted = padded[:, first : first + height, first : first + width]
            for share, view in views(shifted, "flip"):
                yield weight * share, view
