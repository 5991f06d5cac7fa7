"""RandAugment (Cubuk et al., 2020, arXiv:1909.13719)."""

from collections.abc import Callable, Mapping

from trainer.compat.keras import tf
from trainer.config.augment import RandAugment
from trainer.data.augment import color, geometric
from trainer.data.augment.groups import apply_by_group
from trainer.data.augment.random import Draws

_LARGEST_MAGNITUDE = 10.0

# From images `[B, H, W, C]` uint8 and strengths float32 `[B]` in [-1, 1] to images. The ranges are
# those of AutoAugment (Cubuk et al., 2019, table 6): 150 of 331 pixels, 0.3, 30 degrees.
OPERATIONS: Mapping[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "identity": lambda images, _: images,
    "autocontrast": lambda images, _: color.autocontrast(images),
    "equalize": lambda images, _: color.equalize(images),
    "invert": lambda images, _: color.invert(images),
    "posterize": lambda images, s: color.posterize(
        images, 8 - tf.cast(tf.round(4 * tf.abs(s)), tf.int32)
    ),
    "solarize": lambda images, s: color.solarize(images, 256 * (1 - tf.abs(s))),
    "color": lambda images, s: color.color(images, 1 + 0.9 * s),
    "contrast": lambda images, s: color.contrast(images, 1 + 0.9 * s),
    "brightness": lambda images, s: color.brightness(images, 1 + 0.9 * s),
    "sharpness": lambda images, s: color.sharpness(images, 1 + 0.9 * s),
    "rotate": lambda images, s: geometric.rotate(images, 30 * s),
    "shear_x": lambda images, s: geometric.shear_x(images, 0.3 * s),
    "shear_y": lambda images, s: geometric.shear_y(images, 0.3 * s),
    "translate_x": lambda images, s: geometric.translate_x(images, images.shape[2] * 150 / 331 * s),
    "translate_y": lambda images, s: geometric.translate_y(images, images.shape[1] * 150 / 331 * s),
}


def rand_augment(config: RandAugment, images: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Applies `num_ops` random operations to each image `[B, H, W, C]`, one after the other."""
    functions = [OPERATIONS[name] for name in config.operations]
    for number in range(config.num_ops):
        operation = draws.integers(2 * number, len(functions))
        sign = tf.where(draws.uniform(2 * number + 1) < 0.5, -1.0, 1.0)
        strength = sign * (config.magnitude / _LARGEST_MAGNITUDE)
        images = apply_by_group(functions, operation, images, strength)
    return images
