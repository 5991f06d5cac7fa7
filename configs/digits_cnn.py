"""A small CNN on scikit-learn's 1,797 handwritten digits."""

from trainer.config.common import CNN, Adam
from trainer.config.supervised import Digits, Supervised, Train


def get_config() -> Supervised:
    """The experiment."""
    return Supervised(
        data=Digits(),
        model=CNN(filters=(32, 64), units=(128,)),
        optimizer=Adam(learning_rate=2e-3, schedule="cosine"),
        train=Train(epochs=40, global_batch_size=64),
    )
