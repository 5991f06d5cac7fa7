"""Calls an export as a program without this package does: `python standalone.py FORMAT`.

It loads the packages of the format, and then reads a request from stdin, a pickled mapping: `path`
of the export, `calls`, pairs of a signature's name and its inputs by name, and `response`, the file
for a pickled list of the outputs by name of each call.
"""

import importlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Arrays = Mapping[str, Any]
Calls = Sequence[tuple[str, Arrays]]


def saved_model(path: str, calls: Calls) -> Iterator[Arrays]:
    """Calls signatures of a SavedModel with TensorFlow."""
    import tensorflow as tf

    signatures = tf.saved_model.load(path).signatures
    for name, inputs in calls:
        outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        yield {key: value.numpy() for key, value in outputs.items()}


def policy(path: str, calls: Calls) -> Iterator[Arrays]:
    """Calls signatures of a TF-Agents policy, which has types of TensorFlow Probability."""
    import tensorflow_probability

    assert tensorflow_probability.distributions.Deterministic, "the module is loaded only now"
    return saved_model(path, calls)


def keras(path: str, calls: Calls) -> Iterator[Arrays]:
    """Calls a Keras model with tf_keras."""
    import tf_keras

    model = tf_keras.models.load_model(path, compile=False)
    for _, inputs in calls:
        (value,) = inputs.values()
        yield {"outputs": model.predict(value, verbose=0)}


def tflite(path: str, calls: Calls) -> Iterator[Arrays]:
    """Calls a TFLite model with LiteRT, without TensorFlow."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner()
    for _, inputs in calls:
        # One example at a time, as on a phone.
        (key,) = inputs
        rows = [runner(**{key: inputs[key][i : i + 1]}) for i in range(len(inputs[key]))]
        yield {name: [row[name][0] for row in rows] for name in rows[0]}


def onnx(path: str, calls: Calls) -> Iterator[Arrays]:
    """Calls an ONNX model with ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    for _, inputs in calls:
        yield dict(zip(names, session.run(None, inputs), strict=True))


# For each format its function, and the packages that it uses.
FORMATS: Mapping[str, tuple[Callable[[str, Calls], Iterator[Arrays]], Sequence[str]]] = {
    "saved_model": (saved_model, ["tensorflow"]),
    "policy": (policy, ["tensorflow", "tensorflow_probability"]),
    "keras": (keras, ["tf_keras"]),
    "tflite": (tflite, ["ai_edge_litert.interpreter"]),
    "tflite_int8": (tflite, ["ai_edge_litert.interpreter"]),
    "onnx": (onnx, ["onnxruntime"]),
}


def main(kind: str) -> None:
    """Answers a request, and checks that nothing has loaded the package `trainer`."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    function, packages = FORMATS[kind]
    for package in packages:
        importlib.import_module(package)
    request = pickle.load(sys.stdin.buffer)
    outputs = list(function(request["path"], request["calls"]))
    assert "trainer" not in sys.modules, "an export needs nothing of trainer"
    with open(request["response"], "wb") as file:
        pickle.dump(outputs, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
