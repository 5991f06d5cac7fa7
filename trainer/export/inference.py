"""A trained network with everything around it: from what a user has to what a user reads."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainer.compat.keras import tf
from trainer.data.signature import CLASSIFICATION, MULTI_LABEL, Signature
from trainer.export.cells import CellEncoder, input_specs
from trainer.export.encoded_images import decode_images
from trainer.supervised.predictor import Predictor
from trainer.supervised.targets import decided, predictions

Results = Mapping[str, tf.Tensor]


class Inference(tf.Module):
    """The functions that an export has, and the variables that they use.

    Nothing of it refers to this package: a program loads it with TensorFlow alone.
    """

    def __init__(self, predictor: Predictor, dtype: np.dtype[Any]):
        """Takes a network with its weights.

        Args:
          predictor: the network.
          dtype: of stored examples: uint8 of images that are decoded from files, or float32.
        """
        super().__init__()
        self._dtype = tf.as_dtype(dtype)
        self._signature = predictor.signature
        self._logits = predictor.logits
        # Only what is an attribute is saved.
        self._weights = predictor.classifier.network.variables
        self._encoder = CellEncoder(self._signature.columns) if self._signature.columns else None

    @property
    def array_spec(self) -> tf.TensorSpec:
        """Stored examples: images `[B, H, W, C]`, or rows float32 `[B, columns]`."""
        name = "images" if self._signature.kind == "image" else "rows"
        return tf.TensorSpec([None, *self._signature.stored_shape], self._dtype, name)

    def numbers(self, examples: tf.Tensor) -> tf.Tensor:
        """Probabilities, or values in their own unit, float32 `[B, C]`, of stored examples."""
        return predictions(self._logits(examples), self._signature)

    def signatures(self) -> dict[str, Any]:
        """The functions of a SavedModel by name.

        `serving_default` takes encoded images as strings `[B]`, or the cells of each column `[B]`;
        `arrays` takes stored examples, see `array_spec`. Images of a user's own source that are not
        bytes have no files, and both are the same.
        """
        return {"serving_default": self._of_inputs(), "arrays": self._of_arrays()}

    def _of_arrays(self) -> Any:
        """A function of stored examples; returns what `results` does."""
        spec = self.array_spec
        return tf.function(
            lambda examples: results(self.numbers(examples), self._signature),
            input_signature=[spec],
            autograph=False,
        ).get_concrete_function()

    def _of_inputs(self) -> Any:
        if self._encoder is None and self._dtype != tf.uint8:
            return self._of_arrays()
        if self._encoder is None:
            shape = self._signature.stored_shape
            spec = tf.TensorSpec([None], tf.string, "images")
            function = tf.function(
                lambda images: results(self.numbers(decode_images(images, shape)), self._signature),
                input_signature=[spec],
                autograph=False,
            )
            return function.get_concrete_function()
        encoder, specs = self._encoder, input_specs(self._signature.columns)
        columns = {spec.name: column for column, spec in specs.items()}

        def serve(**inputs: tf.Tensor) -> Results:
            rows = encoder({columns[name]: cells for name, cells in inputs.items()})
            return results(self.numbers(rows), self._signature)

        function = tf.function(serve, autograph=False)
        return function.get_concrete_function(**{spec.name: spec for spec in specs.values()})


def results(numbers: tf.Tensor, signature: Signature) -> Results:
    """What an export returns, by name, with one row per example.

    Args:
      numbers: probabilities or values float32 `[B, C]`.
      signature: of the run.

    Returns:
      Of classes: `class` `[B]`, `probability` `[B]`, and `classes` and `probabilities` `[B, C]`. Of
      labels: `labels` and `probabilities` `[B, C]`, and `is_positive` bool `[B, C]`. Of a
      regression: `names` and `values` `[B, C]`.
    """
    names = tf.tile(tf.constant([signature.classes]), [tf.shape(numbers)[0], 1])
    if signature.target == CLASSIFICATION:
        best = decided(numbers, signature)
        return {
            "class": tf.gather(names, best, batch_dims=1),
            "probability": tf.gather(numbers, best, batch_dims=1),
            "classes": names,
            "probabilities": numbers,
        }
    if signature.target == MULTI_LABEL:
        is_positive = decided(numbers, signature)
        return {"labels": names, "probabilities": numbers, "is_positive": is_positive}
    return {"names": names, "values": numbers}
