import numpy as np

from trainer.data.augment.pixels import inside, to_pixels


def test_values_are_rounded_and_limited():
    values = np.float32([-3, -0.4, 0.4, 0.6, 99.4, 99.6, 254.6, 255.4, 999])
    np.testing.assert_array_equal(to_pixels(values), [0, 0, 0, 1, 99, 100, 255, 255, 255])


def test_intervals_are_cut_off_at_the_edges():
    found = inside(np.int32([-2, 1, 3]), np.int32([1, 3, 9]), 4)
    np.testing.assert_array_equal(found, [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
