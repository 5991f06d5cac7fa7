import numpy as np
import pytest
from PIL import Image

from trainer.data.examples import Signature
from trainer.errors import UserError
from trainer.supervised.predict import read_examples

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)


def signature(kind="image", shape=(6, 5, 3), columns=()):
    width = shape[-1]
    return Signature(
        kind, shape, shape, ("a", "b"), columns, (1.5,) * width, (0.1 + 1e-17,) * width
    )


def test_prediction_reads_what_training_read(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(PIXELS[::-1]).resize((50, 60)).save(tmp_path / "b.png")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    names, features = zip(*read_examples(paths, signature()), strict=True)
    assert list(names) == paths
    assert np.stack(features).shape == (2, 6, 5, 3)
    np.testing.assert_array_equal(features[0], PIXELS)


def test_rows_of_a_table_are_named_by_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("y,label,x\n1,a,2\n3,b,4\n")
    examples = read_examples([str(path)], signature("table", (2,), ("x", "y")))
    names, features = zip(*examples, strict=True)
    np.testing.assert_array_equal(features, [[2, 1], [4, 3]])
    assert list(names) == [f"{path}:2", f"{path}:3"]
    path.write_text("x,z\n1,2\n")
    with pytest.raises(UserError, match=r"unknown column.*Received: 'y'"):
        list(read_examples([str(path)], signature("table", (2,), ("x", "y"))))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        list(read_examples([str(tmp_path / "none.png")], signature()))
    with pytest.raises(UserError, match="cannot be read"):
        list(read_examples([str(tmp_path)], signature()))
