"""ResNet-18 on an image folder at 224x224 pixels: random resized crops, flips, cosine decay.

    trainer train --config=configs/image_folder_resnet18.py --workdir=runs/resnet18 \
        --config.data.path=DIR

DIR has one folder of images per class, optionally below `train`, `validation` and `test`.

With fewer than about ten thousand images, fine-tune a network that was trained on other images:
`--config.model.weights=PATH`, with a tenth of the learning rate and fewer epochs
(`--config.optimizer.learning_rate=0.005 --config.train.epochs=20`).

Published: accuracy 69.76 % on ImageNet's 1,000 classes after 90 epochs of a similar recipe
(torchvision, ResNet18_Weights.IMAGENET1K_V1). Not yet trained to the
end here. On two CPU cores, an epoch of 1,000 images takes about four minutes, estimated.
"""

from trainer.config import (
    SGD,
    CosineSchedule,
    Evaluate,
    ImageFolder,
    RandomFlip,
    RandomResizedCrop,
    ResNet,
    Supervised,
    Train,
)


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=ImageFolder(image_size=(224, 224), normalize="standard"),
        augment=(RandomResizedCrop(), RandomFlip()),
        model=ResNet(variant="imagenet", depth=18),
        # 0.1 for a batch of 256, in proportion (Goyal et al., 2017).
        optimizer=SGD(
            learning_rate=0.05,
            momentum=0.9,
            nesterov=True,
            weight_decay=1e-4,
            schedule=CosineSchedule(warmup="5 %"),
        ),
        train=Train(epochs=90, global_batch_size=128, label_smoothing=0.1),
        evaluate=Evaluate(batch_size=128, checkpoint="last"),
    )
