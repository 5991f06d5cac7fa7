"""A CNN with batch normalization on scikit-learn's 1,797 handwritten digits of 8x8.

    trainer train --config=configs/digits_cnn.py --workdir=runs/digits

Nothing to download. Test accuracy 0.989 with seed 0, 0.9886 to 0.9943 (mean 0.992) over
seeds 0 to 4; 5 seconds of training, 13 seconds in all, on two CPU cores.
"""

from trainer.config.sections import CNN, Adam
from trainer.config.supervised import Digits, Evaluate, Supervised, Train


def get_config() -> Supervised:
    """The experiment."""
    return Supervised(
        data=Digits(),
        model=CNN(filters=(64, 128, 128), units=(256,), batch_norm=True, dropout=0.4),
        optimizer=Adam(learning_rate=2e-3, schedule="cosine"),
        train=Train(epochs=30, global_batch_size=64, label_smoothing=0.1),
        # The schedule ends at a step size of 0: the last weights are the settled ones.
        evaluate=Evaluate(checkpoint="last"),
    )
