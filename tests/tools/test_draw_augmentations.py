"""The command that draws the pictures of docs/guide/augmentation.md."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.config.augment import Augmentation
from trainer.config.fields import variants

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "guide" / "augmentation.md").read_text()
STORED = ROOT / "docs" / "images" / "augmentation"
COMMAND = "python tools/draw_augmentations.py docs/images/augmentation"


def test_the_command_draws_the_pictures_of_the_page(tmp_path):
    assert COMMAND in PAGE
    arguments = [sys.executable, *shlex.split(COMMAND)[1:2], str(tmp_path)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    subprocess.run(arguments, cwd=ROOT, env=environment, check=True)
    kinds = set(variants(Augmentation))
    assert {path.stem for path in tmp_path.glob("*.jpg")} == kinds
    assert {path.stem for path in STORED.iterdir()} == kinds
    assert set(re.findall(r"images/augmentation/(\w+)\.jpg", PAGE)) == kinds
    for path in STORED.iterdir():
        drawn, stored = (
            np.asarray(Image.open(folder / path.name)).astype(int) for folder in (tmp_path, STORED)
        )
        # Versions of the JPEG library differ a little.
        assert abs(drawn - stored).mean() < 3, path.name


def test_the_page_names_every_kind_and_field():
    for kind, section in variants(Augmentation).items():
        (row,) = re.findall(rf"^\| `{kind}` \| .* \| .* \| .* \|$", PAGE, re.MULTILINE)
        for name in section.__dataclass_fields__:
            assert name == "kind" or f"`{name}" in row, (kind, name)


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in STORED.iterdir()) < 200_000
