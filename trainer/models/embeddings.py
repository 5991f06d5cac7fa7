"""Learned vectors of the categories of a table (Guo and Berkhahn, 2016, arXiv:1604.06737)."""

from trainer.compat.keras import keras, tf


def embed_categories(inputs: tf.Tensor, embeddings: tuple[tuple[int, int], ...]) -> tf.Tensor:
    """Replaces category numbers by learned vectors.

    A vector is the product of the one-hot category and a matrix: its gradient is a dense tensor,
    which every optimizer and strategy takes.

    Args:
      inputs: symbolic, float32 `[B, F]`, of which the last `len(embeddings)` are category numbers.
      embeddings: number of categories and dimensions of each.

    Returns:
      Symbolic, float32 `[B, F - len(embeddings) + dimensions]`; `inputs` if there is nothing to
      embed.
    """
    if not embeddings:
        return inputs
    first = inputs.shape[-1] - len(embeddings)
    parts = [inputs[:, :first]] if first else []
    for number, (categories, dimensions) in enumerate(embeddings):
        one_hot = tf.one_hot(tf.cast(inputs[:, first + number], tf.int32), categories)
        layer = keras.layers.Dense(
            dimensions,
            use_bias=False,
            kernel_initializer="random_uniform",
            name=f"embedding_{number}",
        )
        parts.append(layer(one_hot))
    return keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
