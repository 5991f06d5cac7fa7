import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.config import RandAugment
from trainer.config.augment import RAND_AUGMENT_OPERATIONS
from trainer.data.augment import color, geometric
from trainer.data.augment.rand_augment import OPERATIONS, rand_augment

# Each operation at magnitude 5 of 10, in a direction.
AT_HALF_STRENGTH = {
    "identity": lambda x, _: x,
    "autocontrast": lambda x, _: color.autocontrast(x),
    "equalize": lambda x, _: color.equalize(x),
    "invert": lambda x, _: color.invert(x),
    "posterize": lambda x, _: color.posterize(x, tf.constant([6])),
    "solarize": lambda x, _: color.solarize(x, tf.constant([128.0])),
    "color": lambda x, sign: color.color(x, tf.constant([1 + 0.45 * sign])),
    "contrast": lambda x, sign: color.contrast(x, tf.constant([1 + 0.45 * sign])),
    "brightness": lambda x, sign: color.brightness(x, tf.constant([1 + 0.45 * sign])),
    "sharpness": lambda x, sign: color.sharpness(x, tf.constant([1 + 0.45 * sign])),
    "rotate": lambda x, sign: geometric.rotate(x, tf.constant([15.0 * sign])),
    "shear_x": lambda x, sign: geometric.shear_x(x, tf.constant([0.15 * sign])),
    "shear_y": lambda x, sign: geometric.shear_y(x, tf.constant([0.15 * sign])),
    "translate_x": lambda x, sign: geometric.translate_x(x, tf.constant([8 * 75 / 331 * sign])),
    "translate_y": lambda x, sign: geometric.translate_y(x, tf.constant([6 * 75 / 331 * sign])),
}


def test_every_operation_of_the_configuration_exists():
    assert set(OPERATIONS) == set(RAND_AUGMENT_OPERATIONS) == set(AT_HALF_STRENGTH)


@pytest.mark.parametrize("channels", [1, 3])
def test_each_image_gets_its_own_operations(random_images, draws_of, channels):
    images, draws = random_images(60, 6, 8, channels), draws_of(60)
    config = RandAugment(num_ops=2, magnitude=5.0, operations=RAND_AUGMENT_OPERATIONS)
    found = rand_augment(config, tf.constant(images), draws).numpy()
    uniform = [draws.uniform(number).numpy() for number in range(4)]
    used = set()
    for i, image in enumerate(images):
        expected = image[None]
        for layer in range(2):
            name = RAND_AUGMENT_OPERATIONS[int(uniform[2 * layer][i] * 15)]
            sign = -1.0 if uniform[2 * layer + 1][i] < 0.5 else 1.0
            expected = AT_HALF_STRENGTH[name](tf.constant(expected), sign).numpy()
            used.add((name, sign))
        assert abs(found[i].astype(int) - expected[0]).max() <= 1
    assert {name for name, _ in used} == set(RAND_AUGMENT_OPERATIONS)


def test_magnitude_zero_keeps_geometry_and_enhancements(random_images, draws_of):
    images = random_images(40, 6, 8, 3)
    names = tuple(n for n in OPERATIONS if n not in ("autocontrast", "equalize", "invert"))
    config = RandAugment(magnitude=0.0, operations=names)
    np.testing.assert_array_equal(rand_augment(config, tf.constant(images), draws_of(40)), images)
