"""Weights that a run starts from: those of another run, or of a Keras file or SavedModel."""

import dataclasses
import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence

import h5py
import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import keras, tf
from trainer.config.supervised import Supervised
from trainer.data.signature import Signature
from trainer.engine.runner import checkpoint_of
from trainer.engine.workdir import WorkDirectory, load_experiment
from trainer.errors import UserError
from trainer.io.files import read_bytes
from trainer.io.paths import to_path
from trainer.supervised.classifier import Classifier, moving_average, restore_network
from trainer.supervised.fine_tuning import head_names
from trainer.supervised.run_data import stored_signature

# The arrays of a network by layer and position in the layer.
Weights = Mapping[tuple[str, int], NDArray[np.float32]]
_NAMES_SHOWN = 4
_FORMS = "a work directory, a .keras or .weights.h5 file, or the directory of a SavedModel"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What became of the weights.

    Attributes:
      loaded: variables of the network that were set.
      renewed: those of heads, which keep their random initialization.
      unused: arrays of the source that the network has no place for.
    """

    loaded: tuple[str, ...]
    renewed: tuple[str, ...]
    unused: tuple[str, ...]

    def describe(self, path: str) -> str:
        """One line for the user."""
        return f"weights of {path}: {len(self.loaded)} variables loaded" + "".join(
            f", {what}: {_shortened(names)}"
            for what, names in (("new", self.renewed), ("not used", self.unused))
            if names
        )


def load(network: keras.Model, path: str, classes: tuple[str, ...]) -> Loaded:
    """Sets a network's variables to the weights in `path`.

    Heads, the layers whose outputs are the network's, are renewed if their shape or the classes
    of the other run differ.

    Args:
      network: to change.
      path: as in `model.weights`.
      classes: of the data.

    Raises:
      UserError: if there are no weights, or a layer below the heads does not fit.
    """
    weights, their_classes = _read(path)
    heads = head_names(network)
    values, loaded, renewed, used = [], [], [], set()
    for layer, name in zip(network.layers, _names(network, weights), strict=True):
        for position, variable in enumerate(layer.weights):
            # Dropout has the run's counter of updates.
            if not variable.dtype.is_floating:
                continue
            found = weights.get((name, position))
            used.add((name, position))
            fits = found is not None and found.shape == tuple(variable.shape)
            if layer.name in heads and (not fits or their_classes not in (None, classes)):
                renewed.append(variable.name.removesuffix(":0"))
                continue
            if found is None or not fits:
                raise _misfit(path, variable, found)
            values.append((variable, found))
            loaded.append(variable.name.removesuffix(":0"))
    # Nothing is changed unless everything fits.
    for variable, value in values:
        variable.assign(value)
    unused = tuple(
        f"{name}/{position}" for name, position in weights if (name, position) not in used
    )
    return Loaded(tuple(loaded), tuple(renewed), unused)


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _misfit(path: str, variable: tf.Variable, found: NDArray[np.float32] | None) -> UserError:
    name = variable.name.removesuffix(":0")
    difference = f"has the shape {found.shape}" if found is not None else "is missing"
    return UserError(
        f"model.weights={path} does not fit the network, which has {name} of shape "
        f"{tuple(variable.shape)}: there it {difference}; use the model section it was trained with"
    )


def _names(network: keras.Model, weights: Weights) -> list[str]:
    """The name of each layer in the source.

    Keras 2 numbers the layers of each class in its files, whatever their own names are.
    """
    counts: Counter[str] = Counter()
    numbered = []
    for layer in network.layers:
        kind = _snake_case(type(layer).__name__)
        numbered.append(f"{kind}_{counts[kind]}" if counts[kind] else kind)
        counts[kind] += 1
    own = [layer.name for layer in network.layers]
    stored = {name for name, _ in weights}
    return max(own, numbered, key=lambda names: len(stored & set(names)))


def _snake_case(name: str) -> str:
    return re.sub("([a-z])([A-Z])|(.)([A-Z][a-z]+)", r"\1\3_\2\4", name).lower()


def _read(path: str) -> tuple[Weights, tuple[str, ...] | None]:
    """The weights, and the class names of a run; None if they are not known."""
    place = to_path(path)
    if path.endswith((".keras", ".weights.h5")):
        return _read_keras(path), None
    if (place / os.path.basename(WorkDirectory("").config)).exists():
        return _read_run(path)
    if (place / "saved_model.pb").exists():
        return _grouped([(v.name, v.numpy()) for v in tf.saved_model.load(path).variables]), None
    what = "is none of these" if place.exists() else "does not exist"
    raise UserError(f"model.weights must be {_FORMS}; {path} {what}")


def _read_run(path: str) -> tuple[Weights, tuple[str, ...]]:
    experiment = load_experiment(path)
    if not isinstance(experiment, Supervised):
        raise UserError(f"model.weights={path} is an agent; a supervised run is needed")
    signature: Signature = stored_signature(path)
    found = checkpoint_of(path, experiment.evaluate.checkpoint)
    # Outside of the strategy in force: its variables are of this process alone.
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        network = Classifier(experiment, signature, tf.Variable(0, dtype=tf.int64)).network
        ema = moving_average(experiment, network)
    restore_network(found, network, ema)
    return {
        (layer.name, position): variable.numpy()
        for layer in network.layers
        for position, variable in enumerate(layer.weights)
        if variable.dtype.is_floating
    }, signature.classes


def _read_keras(path: str) -> Weights:
    """The arrays of `layers/NAME/vars/POSITION` in Keras' format."""
    contents = read_bytes(path)
    try:
        if path.endswith(".keras"):
            with zipfile.ZipFile(io.BytesIO(contents)) as archive:
                contents = archive.read("model.weights.h5")
        weights: dict[tuple[str, int], NDArray[np.float32]] = {}

        def add(name: str, item: object) -> None:
            parts = name.split("/")
            if isinstance(item, h5py.Dataset) and len(parts) == 4 and parts[2] == "vars":
                weights[parts[1], int(parts[3])] = item[()]

        with h5py.File(io.BytesIO(contents)) as file:
            file.visititems(add)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(
            f"model.weights={path} is not a file of Keras weights ({type(error).__name__}); "
            f"it must be {_FORMS}"
        ) from error
    return weights


def _grouped(named: list[tuple[str, NDArray[np.float32]]]) -> Weights:
    """Arrays named `LAYER/VARIABLE:0`, by layer and position in the layer."""
    positions: Counter[str] = Counter()
    weights = {}
    for name, value in named:
        layer = name.rpartition("/")[0]
        weights[layer, positions[layer]] = value
        positions[layer] += 1
    return weights
