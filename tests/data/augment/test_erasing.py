import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.config import Cutout
from trainer.data.augment.erasing import cutout


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 3, 4]),
    st.integers(1, 12),
    st.integers(0, 255),
)
@settings(deadline=None, max_examples=30)
def test_cutout(random_images, draws_of, height, width, channels, size, fill):
    images, draws = random_images(8, height, width, channels), draws_of(8)
    found = cutout(Cutout(size=size, fill=fill), tf.constant(images), draws)
    rows = np.floor(draws.uniform(0).numpy() * height).astype(int) - size // 2
    columns = np.floor(draws.uniform(1).numpy() * width).astype(int) - size // 2
    for image, result, top, left in zip(images, found, rows, columns, strict=True):
        expected = image.copy()
        expected[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = fill
        np.testing.assert_array_equal(result, expected)
