"""From stored rows of a table to the network's inputs, in training, prediction and exports."""

from collections.abc import Sequence

from trainer.compat.keras import tf
from trainer.data.signature import Column


def expand(rows: tf.Tensor, columns: Sequence[Column]) -> tf.Tensor:
    """The inputs of rows before scaling: numbers, indicators, one-hot categories, embedded ones.

    Args:
      rows: float32 `[B, columns]`: numbers, category numbers, and NaN for a missing cell.
      columns: of the table, in the order of the rows.

    Returns:
      float32 `[B, F]`. A missing cell has the value `fill` of its column. Categories to embed are
      last, as their numbers.
    """
    fill = tf.constant([column.fill for column in columns], tf.float32)
    missing = tf.math.is_nan(rows)
    values = tf.where(missing, fill, rows)

    def of(tensor: tf.Tensor, positions: Sequence[int]) -> list[tf.Tensor]:
        # A Keras model of this cannot be saved with an empty list of positions.
        return [tf.gather(tensor, positions, axis=1)] if positions else []

    categorical = [place for place, each in enumerate(columns) if each.type == "categorical"]
    one_hot = [place for place in categorical if not columns[place].embedding]
    embedded = [place for place in categorical if columns[place].embedding]
    indicators = [place for place, each in enumerate(columns) if each.has_indicator]
    return tf.concat(
        [
            *of(values, scalar_positions(columns)),
            *of(tf.cast(missing, tf.float32), indicators),
            *(
                tf.one_hot(tf.cast(values[:, place], tf.int32), 1 + len(columns[place].categories))
                for place in one_hot
            ),
            *of(values, embedded),
        ],
        axis=1,
    )


def scalar_positions(columns: Sequence[Column]) -> list[int]:
    """The columns that enter the network as one number each, in the order of its first inputs."""
    return [place for place, each in enumerate(columns) if each.type != "categorical"]


def input_width(columns: Sequence[Column]) -> int:
    """The number F of the network's inputs."""
    return sum(
        (1 if each.type != "categorical" or each.embedding else 1 + len(each.categories))
        + each.has_indicator
        for each in columns
    )
