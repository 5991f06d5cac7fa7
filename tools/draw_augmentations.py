"""Draws what each augmentation does: one picture per kind, the original at the left.

    python tools/draw_augmentations.py FOLDER

Writes FOLDER/KIND.jpg. The photographs are scikit-learn's.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

from trainer.compat.keras import tf
from trainer.config import (
    ColorJitter,
    CutMix,
    Cutout,
    MixUp,
    RandAugment,
    RandomCrop,
    RandomFlip,
    RandomResizedCrop,
)
from trainer.config.augment import Augmentation
from trainer.data.augment.mixing import make_mix
from trainer.data.augment.registry import make_augment
from trainer.data.pipelines.order import Natural

SIDE, EXAMPLES, SEED, GAP = 96, 6, 1, 4
SECTIONS: Sequence[Augmentation] = (
    RandomCrop(padding=16),
    RandomFlip(),
    Cutout(size=32),
    RandomResizedCrop(),
    ColorJitter(hue=0.1),
    RandAugment(),
    MixUp(alpha=1.0),
    CutMix(),
)


def main(arguments: Sequence[str]) -> None:
    """Draws every section of SECTIONS."""
    if len(arguments) != 1:
        sys.exit("usage: python tools/draw_augmentations.py FOLDER")
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for section in SECTIONS:
        picture = draw(section, _photograph("flower.jpg"), _photograph("china.jpg"))
        picture.save(folder / f"{section.kind}.jpg", quality=75)


def draw(section: Augmentation, photograph: np.ndarray, partner: np.ndarray) -> Image.Image:
    """The photograph, and its augmentations at the first positions of a training run."""
    images, partners = (
        tf.constant(np.stack([image] * EXAMPLES)) for image in (photograph, partner)
    )
    selection = Natural(EXAMPLES, SEED).select(tf.range(EXAMPLES, dtype=tf.int64))
    drawn = make_augment((section,), SEED, photograph.shape)(images, selection)
    if mix := make_mix((section,), SEED, classes=2):
        own, other = tf.zeros([EXAMPLES], tf.int32), tf.ones([EXAMPLES], tf.int32)
        drawn, _ = mix(images, own, partners, other, selection)
    tiles = [photograph, *drawn.numpy()]
    width = len(tiles) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (width, SIDE), "white")
    for number, tile in enumerate(tiles):
        sheet.paste(Image.fromarray(tile), (number * (SIDE + GAP), 0))
    return sheet


def _photograph(name: str) -> np.ndarray:
    """The central square of a photograph, uint8 `[SIDE, SIDE, 3]`."""
    image = Image.fromarray(load_sample_image(name))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main(sys.argv[1:])
