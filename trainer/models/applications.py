"""`applications`: a network of Keras Applications by name, without its head and its weights.

The convolutional part ends in global average pooling. Weights are random. The run normalizes its
images itself (`data.normalize`), so the layers are removed in which some of these networks rescale
or standardize their input, and `preprocess_input` is not used.

Layers that would keep an experiment from resuming exactly are replaced: dropout by
`context.dropout`, or by `context.stochastic_depth` where it drops whole branches, and batch
normalization by ours, which has groups.
"""

from trainer.compat.keras import keras, tf
from trainer.config.models import Applications
from trainer.errors import UserError, unknown_name
from trainer.models.batch_norm import BatchNormalization
from trainer.models.context import Context, require_images


def build(config: Applications, inputs: tf.Tensor, context: Context) -> tf.Tensor:
    """Maps images `[B, H, W, C]` to `[B, F]`.

    Raises:
      UserError: if there is no network of this name, or the images are too small for it.
    """
    require_images(inputs, config.kind)
    # Networks are functions, in a module whose other members are modules.
    networks = {name: make for name, make in vars(keras.applications).items() if callable(make)}
    if config.name not in networks:
        raise unknown_name("model.name", config.name, networks)
    try:
        network = networks[config.name](
            include_top=False, weights=None, input_shape=tuple(inputs.shape[1:])
        )
    except ValueError as error:
        if "Input size must be" not in str(error):
            raise
        reason = str(error).split(";")[0].replace("Input size", "images")
        raise UserError(f"{config.name}: {reason}. Received: {inputs.shape[1:3]}") from error

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        return _replacement(layer, context)

    features = keras.models.clone_model(network, inputs, replace).output
    return keras.layers.GlobalAveragePooling2D()(features)


def _replacement(layer: keras.layers.Layer, context: Context) -> keras.layers.Layer:
    """A fresh layer in place of one of the original network."""
    if isinstance(layer, keras.layers.Dropout):
        make = context.stochastic_depth if layer.noise_shape else context.dropout
        return make(layer.rate, layer.name)
    if isinstance(layer, keras.layers.BatchNormalization):
        return BatchNormalization(
            context.batch_norm_group,
            layer.momentum,
            layer.epsilon,
            layer.center,
            layer.scale,
            layer.name,
        )
    if isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
        return keras.layers.Activation("linear", name=layer.name)
    return layer.__class__.from_config(layer.get_config())
