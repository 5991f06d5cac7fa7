"""Writers of the formats that a network is exported in."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

from trainer.compat.import_silence import quiet_libraries
from trainer.compat.keras import tf
from trainer.errors import UserError
from trainer.export.inference import Inference
from trainer.export.keras_model import stock_model
from trainer.supervised.predictor import Predictor

# The newest that tf2onnx 1.17 writes.
_OPSET = 18


class Network(NamedTuple):
    """What is exported.

    Attributes:
      predictor: the trained network.
      inference: its functions.
      calibration: gives stored examples float32 `[1, ...]` of the training split.
    """

    predictor: Predictor
    inference: Inference
    calibration: Callable[[], Iterable[tf.Tensor]]


def saved_model(network: Network, folder: str) -> str:
    """A SavedModel, which TensorFlow, TensorFlow Serving and others load."""
    with quiet_libraries():
        tf.saved_model.save(network.inference, folder, network.inference.signatures())
    return folder


def keras(network: Network, folder: str) -> str:
    """A Keras model in `model.keras`, which tf_keras loads; from stored examples to numbers."""
    path = os.path.join(folder, "model.keras")
    stock_model(network.predictor, network.inference.array_spec.dtype).save(path)
    return path


def tflite(network: Network, folder: str) -> str:
    """`model.tflite` in float32; from stored examples to numbers."""
    return _converted(network, folder, network.inference.array_spec)


def tflite_int8(network: Network, folder: str) -> str:
    """`model.tflite` with weights of 8 bits; of images also with bytes in and 8 bits between.

    The columns of a table have different ranges, which 8 bits for all of them do not resolve, so
    that a table's network computes in float32.
    """
    spec = network.inference.array_spec
    if spec.dtype != tf.uint8:
        return _converted(network, folder, spec, _quantize_weights)

    def examples() -> Iterator[list[tf.Tensor]]:
        for example in network.calibration():
            yield [example]
        # The range of bytes, so that a byte is its own quantized value.
        yield [tf.zeros([1, *spec.shape[1:]])]
        yield [tf.fill([1, *spec.shape[1:]], 255.0)]

    def quantize(converter: tf.lite.TFLiteConverter) -> None:
        _quantize_weights(converter)
        converter.representative_dataset = examples
        converter.inference_input_type = tf.uint8

    # The converter measures ranges of floats only.
    return _converted(network, folder, tf.TensorSpec(spec.shape, tf.float32, spec.name), quantize)


def _quantize_weights(converter: tf.lite.TFLiteConverter) -> None:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def onnx(network: Network, folder: str) -> str:
    """`model.onnx`, which ONNX Runtime and others load; from stored examples to numbers."""
    with quiet_libraries():
        import tf2onnx
    path = os.path.join(folder, "model.onnx")
    spec = network.inference.array_spec
    with quiet_libraries(), _failures_as_user_errors("onnx"):
        tf2onnx.convert.from_function(
            _numbers(network, spec), input_signature=[spec], opset=_OPSET, output_path=path
        )
    return path


Write = Callable[[Network, str], str]
# Returns the path to load.
FORMATS: Mapping[str, Write] = {
    "saved_model": saved_model,
    "keras": keras,
    "tflite": tflite,
    "tflite_int8": tflite_int8,
    "onnx": onnx,
}
_PACKAGES = {
    "tflite": ("ai_edge_litert",),
    "tflite_int8": ("ai_edge_litert",),
    "onnx": ("tf2onnx", "onnxruntime"),
}


def check_installed(kind: str) -> None:
    """Checks that the packages are installed that write and open a format.

    Raises:
      UserError: with what is missing.
    """
    if missing := [name for name in _PACKAGES.get(kind, ()) if not find_spec(name)]:
        raise UserError(
            f"--format={kind} needs {' and '.join(missing)}; install the extra with "
            "pip install 'trainer[export]'"
        )


def _numbers(network: Network, spec: tf.TensorSpec) -> Any:
    """A function of stored examples, with one output `probabilities` or `values`."""
    name = "values" if network.predictor.signature.target == "regression" else "probabilities"
    return tf.function(
        lambda examples: {name: network.inference.numbers(examples)},
        input_signature=[spec],
        autograph=False,
    )


def _converted(
    network: Network,
    folder: str,
    spec: tf.TensorSpec,
    adjust: Callable[[tf.lite.TFLiteConverter], None] = lambda _: None,
) -> str:
    function = _numbers(network, spec).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network.inference)
    adjust(converter)
    path = os.path.join(folder, "model.tflite")
    with quiet_libraries(), _failures_as_user_errors("tflite"):
        contents = converter.convert()
    with open(path, "wb") as file:
        file.write(contents)
    return path


@contextlib.contextmanager
def _failures_as_user_errors(kind: str) -> Iterator[None]:
    """What a converter raises, in one line; they have no exception of their own in common."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"the network cannot be converted to {kind}; export it with --format=saved_model. "
            f"Received: {reason}"
        ) from error
