"""Which pixels a prediction depends on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import tf
from trainer.data.normalization import normalize
from trainer.data.signature import CLASSIFICATION
from trainer.pages.page import Group, Section, picture, text
from trainer.report import mistakes
from trainer.report.predictions import Predictions

_SHOWN = 8


def section(found: Predictions) -> list[Section]:
    """Saliency of the worst mistakes and of some other images; none for tables."""
    if found.signature.kind != "image":
        return []
    wrong = mistakes.worst(found)[: _SHOWN // 2]
    others = np.setdiff1d(np.arange(len(found.examples)), wrong)[: _SHOWN - len(wrong)]
    positions = np.concatenate([wrong, others])
    features = found.features(positions)
    maps = saliency(found, features, _outputs(found)[positions])
    pictures = [
        picture(
            _above(pixels, salient),
            f"Example {position} above its saliency map",
            [f"{name}: {value}" for name, value in mistakes.outcome(found, position)],
        )
        for pixels, salient, position in zip(features, maps, positions.tolist(), strict=True)
    ]
    note = text(
        "Below each image: how much the output for the prediction changes with each pixel, "
        "|∂ output / ∂ pixel|, the largest over the channels (Simonyan et al., 2014). White is the "
        "largest of the image.",
        "note",
    )
    return [Section("Saliency", [note, Group(pictures, "pictures")])]


def saliency(
    found: Predictions, features: NDArray[Any], outputs: NDArray[np.int64]
) -> NDArray[np.float32]:
    """|∂ output / ∂ pixel|, the largest over the channels, float32 `[B, H, W]`.

    Source: Simonyan et al. (2014), "Deep inside convolutional networks", section 3.1.

    Args:
      found: has the network and the scaling of its input.
      features: images `[B, H, W, C]` as stored.
      outputs: number of the output of each image, `[B]`.
    """
    pixels = tf.constant(features, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        inputs = normalize(pixels, found.signature)
        logits = found.predictor.classifier.network(inputs, training=False)
        # Auxiliary classifiers follow the main one.
        main = logits[0] if isinstance(logits, list | tuple) else logits
        chosen = tf.gather(main, outputs, batch_dims=1)
    gradients: NDArray[np.float32] = tape.gradient(chosen, pixels).numpy()
    return np.abs(gradients).max(axis=-1)


def _outputs(found: Predictions) -> NDArray[np.int64]:
    """The output that stands for the prediction of each example, `[N]`."""
    if found.signature.target == CLASSIFICATION:
        return found.decisions
    return found.outputs.argmax(axis=1)


def _above(pixels: NDArray[np.uint8], salient: NDArray[np.float32]) -> NDArray[np.uint8]:
    """An image above its map, `[2 H, W, C]`."""
    scaled = salient / (salient.max() or 1.0)
    below = np.repeat((255 * scaled).astype(np.uint8)[..., None], pixels.shape[-1], axis=-1)
    if pixels.shape[-1] in (2, 4):
        below[..., -1] = 255  # opaque
    return np.concatenate([pixels, below])
