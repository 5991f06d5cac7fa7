"""CNN on an image folder of any size: images are read and decoded for each batch.

    trainer train --config=configs/image_folder_on_disk.py --workdir=runs/on_disk \
        --config.data.path=DIR

DIR has one folder of images per class, optionally below `train`, `validation` and `test`. Broken
images are left out and listed in `skipped.jsonl`. The first start reads and decodes every image;
what it finds is kept in TRAINER_CACHE_DIR. `--config.data.decoded_cache=true` keeps the resized
images in a file too, which is faster if decoding limits the speed.

The process needs about 1 GB of memory, however many images there are. On two CPU cores, an epoch of
5,000 images takes about two minutes, estimated.
"""

from trainer.config import (
    CNN,
    Adam,
    CosineSchedule,
    ImageFolder,
    RandomFlip,
    Supervised,
    Train,
)


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=ImageFolder(image_size=(128, 128), residence="disk", on_error="skip"),
        augment=(RandomFlip(),),
        model=CNN(filters=(16, 32, 64, 64), units=(64,), dropout=0.2),
        optimizer=Adam(schedule=CosineSchedule()),
        train=Train(epochs=10, global_batch_size=64),
    )
