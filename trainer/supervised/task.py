"""Classification: network, loss, optimizer and batches behind the loop's `Task`."""

import functools
from collections.abc import Mapping

from trainer.compat.keras import keras, tf
from trainer.config.supervised import Supervised
from trainer.data.examples import Dataset, Signature, Split
from trainer.data.pipelines import batches
from trainer.data.preprocessing import normalize
from trainer.engine.distribution import Runtime
from trainer.models.network import build_network
from trainer.optim import optimizers

Batch = tuple[tf.Tensor, ...]


class Classifier:
    """A network that maps examples to class logits, and what it takes to restore one.

    Attributes:
      network: `[B, *shape]` normalized float32 to logits `[B, classes]` float32.
    """

    def __init__(self, experiment: Supervised, signature: Signature, step: tf.Variable):
        """Builds the network in the strategy scope that is in force."""
        keras.utils.set_random_seed(experiment.seed)
        self.signature = signature
        self.network = build_network(
            experiment.model, signature.shape, len(signature.classes), experiment.seed, step
        )

    def logits(self, features: tf.Tensor, training: bool) -> tf.Tensor:
        """Class scores `[B, classes]` float32 of raw examples `[B, ...]`."""
        return self.network(normalize(features, self.signature), training=training)


class ClassificationTask:
    """Trains a classifier on one data set under one strategy.

    The global batch is shared out over the replicas; each one's loss is divided by the
    global batch size and the gradients are summed, so the update does not depend on how
    many replicas there are (batch normalization's statistics aside).
    """

    stride = 1
    unit = "step"

    def __init__(
        self, experiment: Supervised, dataset: Dataset, runtime: Runtime, total_steps: int
    ):
        """Builds all state in the runtime's strategy scope.

        Raises:
          UserError: if the network does not fit the data.
        """
        self._experiment = experiment
        self._splits = dataset.splits
        self._runtime = runtime
        self._strategy = runtime.strategy
        with self._strategy.scope():
            self._learning_rate = optimizers.LearningRate(experiment.optimizer, total_steps)
            self._optimizer = optimizers.build_optimizer(experiment.optimizer, self._learning_rate)
            self._classifier = Classifier(experiment, dataset.signature, self._optimizer.iterations)
            self._variables = self._classifier.network.trainable_variables
            self._optimizer.build(self._variables)
            if runtime.precision == "mixed_float16":
                self._optimizer = keras.mixed_precision.LossScaleOptimizer(self._optimizer)
            self._loss = keras.metrics.Mean()
            self._accuracy = keras.metrics.Mean()
        self.state = tf.train.Checkpoint(
            network=self._classifier.network,
            optimizer=self._optimizer,
            learning_rate_scale=self._learning_rate.scale,
            loss=self._loss,
            accuracy=self._accuracy,
        )
        # Uncompiled was faster for every network here, up to 6 times; see docs/LOG.md.
        self._compiles = runtime.compiles(default_on_cpu=False)

    @property
    def network(self) -> keras.Sequential:
        """The network in training."""
        return self._classifier.network

    def start(self, step: int) -> None:
        """Opens the sequence of batches at a step."""
        train = self._experiment.train
        pipeline = batches.training_pipeline(
            self._splits["train"], self._experiment.seed, train.global_batch_size, step
        )
        self._batches = iter(self._strategy.distribute_datasets_from_function(pipeline))

    def advance(self, iterations: int) -> float:
        """Runs `iterations` updates in one call; returns the seconds spent waiting for input."""
        return float(self._train_chunk(self._batches, tf.constant(iterations)))

    def metrics(self) -> Mapping[str, float]:
        """Mean loss and accuracy of the updates since the last `reset_metrics`."""
        return {
            "loss": float(self._loss.result()),
            "accuracy": float(self._accuracy.result()),
        }

    def reset_metrics(self) -> None:
        """Begins new means."""
        self._loss.reset_state()
        self._accuracy.reset_state()

    def scale_learning_rate(self, factor: float) -> None:
        """Makes every later step size `factor` times the configured one."""
        self._learning_rate.scale.assign(factor)

    def evaluate(self) -> Mapping[str, float]:
        """Loss and accuracy on the validation split; empty where there is none."""
        validation = self._splits.get("validation")
        return self.evaluate_split(validation) if validation else {}

    def evaluate_split(self, split: Split) -> Mapping[str, float]:
        """Mean loss and accuracy over every example of a split, each counted once."""
        replicas = self._runtime.replicas
        batch_size = -(-self._experiment.evaluate.batch_size // replicas) * replicas
        pipeline = batches.evaluation_pipeline(split, batch_size)
        iterator = iter(self._strategy.distribute_datasets_from_function(pipeline))
        steps = batches.evaluation_steps(len(split.labels), batch_size)
        sums = self._evaluate_batches(iterator, tf.constant(steps))
        loss, accuracy = (sums / len(split.labels)).numpy().tolist()
        return {"loss": loss, "accuracy": accuracy}

    @tf.function
    def _train_chunk(
        self, iterator: tf.distribute.DistributedIterator, iterations: tf.Tensor
    ) -> tf.Tensor:
        """Updates on `iterations` batches; returns seconds waited for them, float64."""
        waited = tf.constant(0.0, tf.float64)
        for _ in tf.range(iterations):
            asked = tf.timestamp()
            batch = next(iterator)
            with tf.control_dependencies(self._local_tensors(batch)):
                waited += tf.timestamp() - asked
            self._strategy.run(self._train_step, args=batch)
        return waited

    @tf.function
    def _evaluate_batches(
        self, iterator: tf.distribute.DistributedIterator, steps: tf.Tensor
    ) -> tf.Tensor:
        """Summed loss and hits over `steps` batches, float64 `[2]`."""
        # float32 counts exactly only to 2**24.
        total = tf.zeros([2], tf.float64)
        for _ in tf.range(steps):
            sums = self._strategy.run(self._evaluation_step, args=next(iterator))
            total += tf.cast(self._strategy.reduce("SUM", sums, axis=None), tf.float64)
        return total

    def _train_step(self, features: tf.Tensor, labels: tf.Tensor) -> None:
        if not self._compiles or self._runtime.name == "tpu":
            self._update(features, labels)
        elif self._runtime.replicas == 1:
            self._compiled_update(features, labels)
        else:
            # Summing over replicas leaves XLA, so only the gradients are compiled.
            self._apply(*self._compiled_gradients(features, labels))

    def _update(self, features: tf.Tensor, labels: tf.Tensor) -> None:
        self._apply(*self._gradients(features, labels))

    @functools.cached_property
    def _compiled_update(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._update, jit_compile=True)

    @functools.cached_property
    def _compiled_gradients(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._gradients, jit_compile=True)

    def _gradients(
        self, features: tf.Tensor, labels: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Gradients of this replica's part of the global mean loss; losses and hits `[b]`."""
        train = self._experiment.train
        with tf.GradientTape() as tape:
            logits = self._classifier.logits(features, training=True)
            losses = cross_entropy(labels, logits, train.label_smoothing)
            loss = tf.reduce_sum(losses) / train.global_batch_size
            if self._scales_loss:
                loss = self._optimizer.get_scaled_loss(loss)
        gradients = tape.gradient(loss, self._variables)
        if self._scales_loss:
            gradients = self._optimizer.get_unscaled_gradients(gradients)
        return gradients, losses, hits(labels, logits)

    def _apply(self, gradients: list[tf.Tensor], losses: tf.Tensor, correct: tf.Tensor) -> None:
        clip_norm = self._experiment.optimizer.clip_norm
        optimizers.apply_gradients(self._optimizer, gradients, self._variables, clip_norm)
        self._loss.update_state(losses)
        self._accuracy.update_state(correct)

    def _evaluation_step(
        self, features: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor
    ) -> tf.Tensor:
        logits = self._classifier.logits(features, training=False)
        losses = cross_entropy(labels, logits, label_smoothing=0.0)
        figures = tf.stack([losses, hits(labels, logits)])
        return tf.reduce_sum(figures * weights, axis=1)

    @property
    def _scales_loss(self) -> bool:
        return isinstance(self._optimizer, keras.mixed_precision.LossScaleOptimizer)

    def _local_tensors(self, batch: Batch) -> list[tf.Tensor]:
        return [
            tensor for value in batch for tensor in self._strategy.experimental_local_results(value)
        ]


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    """Categorical cross-entropy −Σ p log softmax(logits), nats.

    Args:
      labels: int32 `[B]`.
      logits: float32 `[B, classes]`.
      label_smoothing: share of the probability spread evenly over all classes.

    Returns:
      float32 `[B]`.
    """
    if not label_smoothing:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    classes = logits.shape[-1]
    targets = tf.one_hot(
        labels,
        classes,
        on_value=1 - label_smoothing + label_smoothing / classes,
        off_value=label_smoothing / classes,
    )
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def hits(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """1.0 where the largest logit is the label's, else 0.0; float32 `[B]`."""
    return tf.cast(tf.equal(tf.argmax(logits, -1, tf.int32), labels), tf.float32)
