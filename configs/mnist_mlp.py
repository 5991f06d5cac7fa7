"""An MLP on MNIST.

    trainer train --config=configs/mnist_mlp.py --workdir=runs/mnist --data_dir=DIR

DIR contains MNIST as prepared by TensorFlow Datasets. Test accuracy 0.9845 (seed 0) after 10
epochs; 22 seconds of training on two CPU cores with bfloat16. In float32: 0.9847 (seed 0).
"""

from trainer.config import MLP, TFDS, Adam, CosineSchedule, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=TFDS(name="mnist", validation_fraction=0.05),
        model=MLP(units=(512, 256), dropout=0.2),
        optimizer=Adam(learning_rate=1e-3, schedule=CosineSchedule()),
        train=Train(epochs=10, global_batch_size=128),
    )
