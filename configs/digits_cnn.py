"""A CNN with batch normalization on scikit-learn's 1,797 handwritten digits of 8x8 pixels.

    trainer train --config=configs/digits_cnn.py --workdir=runs/digits

Requires no download. Test accuracy 0.989 with seed 0, 0.9886 to 0.9943 (mean 0.992) over seeds 0
to 4; 5 seconds of training, 13 seconds in total, on two CPU cores.
"""

from trainer.config import CNN, Adam, CosineSchedule, Digits, Evaluate, Supervised, Train


def get_config() -> Supervised:
    """Returns the experiment."""
    return Supervised(
        data=Digits(),
        model=CNN(filters=(64, 128, 128), units=(256,), batch_norm=True, dropout=0.4),
        optimizer=Adam(learning_rate=2e-3, schedule=CosineSchedule()),
        train=Train(epochs=30, global_batch_size=64, label_smoothing=0.1),
        # The learning rate decays to 0, so the last weights have converged.
        evaluate=Evaluate(checkpoint="last"),
    )
