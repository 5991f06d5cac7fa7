import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.compat.keras import tf
from trainer.data.augment.groups import apply_by_group


@given(st.lists(st.integers(0, 2), max_size=8))
@settings(deadline=None, max_examples=20)
def test_each_example_gets_its_own_function(groups):
    images = np.random.default_rng(0).normal(size=(len(groups), 2, 3)).astype(np.float32)
    numbers = np.arange(len(groups), dtype=np.float32)
    functions = [
        lambda x, n: x + n[:, None, None],
        lambda x, n: x * n[:, None, None],
        lambda x, _: x[:, ::-1],
    ]
    found = apply_by_group(functions, tf.constant(groups, tf.int32), images, numbers)
    assert found.shape == images.shape
    for i, group in enumerate(groups):
        expected = (images[i] + numbers[i], images[i] * numbers[i], images[i][::-1])[group]
        np.testing.assert_allclose(found[i], expected, rtol=1e-6)
