import numpy as np
import pytest

from trainer.compat.keras import tf
from trainer.data.examples import InMemoryExamples
from trainer.data.normalization import first_normalized, image_normalization, normalize
from trainer.data.signature import Column, Signature
from trainer.engine import distribution

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("jit", [False, True] if distribution.xla_compiles_for_cpus() else [False])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalize(jit, dtype):
    features = RANDOM.integers(0, 256, (4, 3)).astype(dtype)
    made = Signature(
        "table", (3,), (3,), ("a", "b"), tuple(map(Column, "xyz")), (1.0, 2.0, 3.0), (0.5, 2.0, 1.0)
    )
    result = tf.function(normalize, jit_compile=jit)(tf.constant(features), made)
    assert result.dtype == tf.float32
    np.testing.assert_allclose(
        result, (features.astype(np.float64) - [1, 2, 3]) * [0.5, 2, 1], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("unit", 0, 1), ("half", -1, 1), ("none", 0, 255)]
)
def test_fixed_normalizations(kind, low, high):
    split = InMemoryExamples(np.array([[[[0, 255]]]], np.uint8), np.zeros(1, np.int32))
    offset, scale = image_normalization(kind, split, 1)
    result = (np.array([0, 255]) - offset) * scale
    np.testing.assert_allclose(result, [low, high])


def test_standard_normalization_measures_the_training_split():
    features = RANDOM.normal(3, 7, (5000, 2)).astype(np.float32)
    features = np.concatenate([features, np.full((5000, 1), 0.1, np.float32)], axis=1)
    offset, scale = image_normalization(
        "standard", InMemoryExamples(features, np.zeros(5000, np.int32)), 3
    )
    assert scale[2] == 1
    result = (features - offset) * scale
    np.testing.assert_allclose(result.mean(axis=0), [0, 0, 0], atol=1e-5)
    # A column that does not vary stays finite.
    np.testing.assert_allclose(result.std(axis=0), [1, 1, 0], atol=1e-5)


@pytest.mark.parametrize("count", [1, 1500, 3000, 4000])
def test_the_first_examples_are_scaled_like_all_others(count):
    features = RANDOM.integers(0, 256, (3000, 2)).astype(np.uint8)
    split = InMemoryExamples(features, np.zeros(3000, np.int32))
    made = Signature(
        "table", (2,), (2,), ("a", "b"), (Column("x"), Column("y")), (1.0, 100.0), (0.5, 0.02)
    )
    parts = list(first_normalized(split, made, count))
    assert all(part.dtype == np.float32 and len(part) for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), normalize(features[:count], made))
