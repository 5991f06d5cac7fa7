"""Which layers of a network learn, from when on, and how fast."""

import dataclasses
from collections.abc import Sequence

from trainer.compat.keras import keras
from trainer.config.durations import parse_duration
from trainer.config.supervised import Train
from trainer.errors import unknown_name
from trainer.optim.groups import ParameterGroup

_BACKBONE = "backbone"


@dataclasses.dataclass(frozen=True, eq=False)
class Frozen:
    """Layers that do not learn at first.

    Attributes:
      layers: from the input upwards; empty if all learn.
      until: the update, counted from 0, from which on they learn; None: never.
    """

    layers: tuple[keras.layers.Layer, ...] = ()
    until: int | None = None

    def apply(self, update: int) -> None:
        """Marks the layers for functions that are traced for `update` and later ones.

        A layer that does not learn also leaves its moving statistics as they are, and uses them.
        """
        for layer in self.layers:
            layer.trainable = self.until is not None and update >= self.until


def frozen_layers(
    network: keras.Model, train: Train, total_updates: int, updates_per_epoch: float
) -> Frozen:
    """The layers that `train.freeze` names.

    Raises:
      UserError: if there is no such layer.
    """
    if not train.freeze:
        return Frozen()
    heads = head_names(network)
    layers = [layer for layer in network.layers if layer.name not in heads]
    if train.freeze != _BACKBONE:
        names = [layer.name for layer in layers]
        if train.freeze not in names:
            raise unknown_name("train.freeze", train.freeze, [_BACKBONE, *names])
        layers = layers[: names.index(train.freeze) + 1]
    until = None
    if train.unfreeze_at:
        duration = parse_duration(train.unfreeze_at, "train.unfreeze_at")
        until = duration.updates(total_updates, updates_per_epoch)
    return Frozen(tuple(layers), until)


def parameter_groups(
    network: keras.Model, frozen: Frozen, layer_decay: float
) -> list[ParameterGroup]:
    """The groups of a network's trainable variables, in the order of the network.

    The learning rate of a layer has the factor layer_decay^d, where d counts the layers with a
    kernel from the head down (Howard and Ruder, 2018, section 3.2; Bao et al., 2022); layers
    without one, such as normalization, belong to the kernel below them.
    """
    groups: list[ParameterGroup] = []
    for layer, depth in _depths(network):
        variables = layer.trainable_variables
        first_update = 0
        if layer in frozen.layers:
            if frozen.until is None:
                continue
            first_update = frozen.until
        if variables:
            groups.append(ParameterGroup(variables, layer_decay**depth, first_update))
    return _joined(groups)


def head_names(network: keras.Model) -> frozenset[str]:
    """The names of the layers whose outputs are the network's."""
    return frozenset(output.node.layer.name for output in network.outputs)


def _depths(network: keras.Model) -> list[tuple[keras.layers.Layer, int]]:
    heads = head_names(network)
    depth, found = 1, []
    for layer in reversed(network.layers):
        found.append((layer, 0 if layer.name in heads else depth))
        has_kernel = any(len(variable.shape) > 1 for variable in layer.trainable_variables)
        depth += has_kernel and layer.name not in heads
    return found[::-1]


def _joined(groups: Sequence[ParameterGroup]) -> list[ParameterGroup]:
    """Neighbours of the same factor and first update as one group."""
    joined: list[ParameterGroup] = []
    for group in groups:
        last = joined[-1] if joined else None
        if last and (last.learning_rate_factor, last.first_update) == (
            group.learning_rate_factor,
            group.first_update,
        ):
            joined[-1] = dataclasses.replace(last, variables=[*last.variables, *group.variables])
        else:
            joined.append(group)
    return joined
