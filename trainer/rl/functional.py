"""Networks as functions of their parameters, for updates that carry them as tensors."""

import contextlib
from collections.abc import Iterator, Sequence

from trainer.compat.keras import tf


def finds_all(module: tf.Module, variables: Sequence[tf.Variable]) -> bool:
    """Whether `replaced` reaches every one of `variables`."""
    found = {id(value) for _, _, value in _attributes(module)}
    return all(id(variable) in found for variable in variables)


@contextlib.contextmanager
def replaced(
    module: tf.Module, variables: Sequence[tf.Variable], values: Sequence[tf.Tensor]
) -> Iterator[None]:
    """A context in which layers compute with tensors in place of their variables.

    XLA keeps the tensors that a loop carries in place. A variable that a loop assigns is copied.

    Args:
      module: whose layers and submodules hold the variables as attributes.
      variables: what to replace.
      values: a tensor for each of them, of the same shape and dtype.
    """
    by_identity = {id(variable): value for variable, value in zip(variables, values, strict=True)}
    held = [each for each in _attributes(module) if id(each[2]) in by_identity]
    try:
        for attributes, name, variable in held:
            # Keras would track a value that is set as an attribute.
            attributes[name] = by_identity[id(variable)]
        yield
    finally:
        for attributes, name, variable in held:
            attributes[name] = variable


def _attributes(module: tf.Module) -> list[tuple[dict[str, object], str, object]]:
    """Each attribute of a module and its submodules: where it is, its name and its value."""
    return [
        (vars(each), name, value)
        for each in (module, *module.submodules)
        for name, value in vars(each).items()
    ]
