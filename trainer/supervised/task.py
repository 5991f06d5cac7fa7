"""Supervised training as a task of the loop: updates, metrics and evaluation under a strategy."""

import functools
import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.compat.keras import keras, tf
from trainer.config.supervised import Supervised
from trainer.data.augment.mixing import make_mix
from trainer.data.augment.registry import make_augment
from trainer.data.examples import Dataset, Examples
from trainer.data.pipelines import batches
from trainer.data.pipelines.order import Balanced, Natural, Order
from trainer.data.signature import CLASSIFICATION
from trainer.engine.checkpoints import State
from trainer.engine.distribution import Runtime
from trainer.errors import UserError
from trainer.io.records import Value
from trainer.metrics import table
from trainer.metrics.accumulators import Accumulators, equal_variable, summed_variable
from trainer.models.moving_statistics import synchronize
from trainer.optim.optimizers import Optimizer
from trainer.supervised.classifier import Classifier, moving_average
from trainer.supervised.evaluation import Evaluation, changed_files_as_user_errors, finish
from trainer.supervised.fine_tuning import frozen_layers, parameter_groups
from trainer.supervised.gradients import BatchGradients
from trainer.supervised.losses import make_loss
from trainer.supervised.targets import baseline_outputs, metric_sums, sum_shapes
from trainer.supervised.test_time import averaged_logits
from trainer.supervised.thresholds import scores

Batch = tuple[tf.Tensor, ...]
_BASELINE_BATCH = 65_536


class SupervisedTask:
    """Trains a network on one data set under one strategy.

    The global batch is divided among the replicas. Each replica's loss is divided by the
    global batch size and the gradients are summed, so the update does not depend on the
    number of replicas (batch normalization's statistics aside).
    """

    steps_per_iteration = 1
    step_name = "step"

    def __init__(
        self, experiment: Supervised, dataset: Dataset, runtime: Runtime, total_steps: int
    ):
        """Creates all state in the runtime's strategy scope.

        Args:
          experiment: the configuration.
          dataset: with the split `train` at least.
          runtime: where to compute.
          total_steps: length of the learning rate schedule, updates.

        Raises:
          UserError: if model, augmentation or metrics do not fit the data.
        """
        self._experiment = experiment
        self._splits = dataset.splits
        self._runtime = runtime
        self._strategy = runtime.strategy
        self.signature = dataset.signature
        self._metrics = table.find_all(experiment.evaluate.metrics, self.signature.target)
        self._augment = make_augment(
            experiment.augment, experiment.seed, dataset.signature.input_shape
        )
        self._mix = make_mix(experiment.augment, experiment.seed, len(self.signature.classes))
        self._order = _order(experiment, dataset)
        with self._strategy.scope():
            step = tf.Variable(0, dtype=tf.int64, trainable=False)
            self._classifier = Classifier(
                experiment, dataset.signature, step, dataset.splits["train"]
            )
            self._evaluation = Evaluation(
                averaged_logits(self._classifier, experiment.evaluate.test_time_augmentation),
                runtime,
                experiment.evaluate.batch_size,
            )
            train = experiment.train
            updates_per_epoch = len(dataset.splits["train"]) / train.global_batch_size
            self.frozen = frozen_layers(self.network, train, total_steps, updates_per_epoch)
            self._optimizer = Optimizer(
                experiment.optimizer,
                parameter_groups(self.network, self.frozen, train.layer_decay),
                experiment.optimizer.schedule_steps or total_steps,
                updates_per_epoch,
                scales_loss=runtime.precision == "mixed_float16",
            )
            self._step = step
            self.ema = moving_average(experiment, self.network)
            # Training reports the loss that it minimizes, with label smoothing.
            self._loss_sum = equal_variable([])
            self._norm_sum = equal_variable([])
            self._updates = equal_variable([])
            self._waited = summed_variable([])
            trained = self._metrics[1:]
            self._accumulators = Accumulators(trained, sum_shapes(trained, self.signature))
        self.state: State = {
            "network": self.network,
            "optimizer": self._optimizer,
            "step": self._step,
            **({"ema": self.ema} if self.ema else {}),
        }
        self.local_state: State = {}
        self.best_state: State | None = None
        self.accumulators: State = {
            "loss": self._loss_sum,
            "gradient_norm": self._norm_sum,
            "updates": self._updates,
            "metrics": self._accumulators,
        }
        self.parameters: Sequence[tf.Variable] = [*self.network.variables, *self._optimizer.slots]
        self._gradients = BatchGradients(
            self._classifier,
            self._optimizer,
            make_loss(train, self.signature, dataset.splits["train"].targets),
            train.global_batch_size,
            runtime.replicas,
            train.micro_batches,
            runtime.streams,
        )
        self._runs_on_host = runtime.name == "cpu"
        # Without XLA every network tried was faster on a CPU, up to 6 times; see docs/LOG.md.
        self._compiles = runtime.compiles(default_on_cpu=False)

    @property
    def network(self) -> keras.Model:
        """The network in training."""
        return self._classifier.network

    @property
    def headline(self) -> Sequence[str]:
        """The loss and the metrics, with the one that selects the best checkpoint first."""
        best = self._experiment.evaluate.best_metric
        _, *names = (each.name for each in self._metrics if each.more_is_better is not None)
        names.sort(key=lambda name: name != best)
        first, others = ["loss", *names[:1]], names[1:]
        pairs = [f"{split}/{name}" for split in ("train", "eval") for name in first]
        return [*pairs, *(f"eval/{name}" for name in others)]

    def start(self, step: int) -> None:
        """Opens the sequence of batches at `step`."""
        train = self._experiment.train
        pipeline = batches.training_pipeline(
            self._splits["train"],
            self._order,
            train.global_batch_size,
            step,
            self._augment,
            self._mix,
        )
        if not self._runs_on_host:
            pipeline = batches.with_waiting_time(pipeline)
        self._batches = iter(self._strategy.distribute_datasets_from_function(pipeline))

    def advance(self, iterations: int) -> float:
        """Runs `iterations` updates in one call; returns the seconds spent waiting for input.

        On GPUs and TPUs it is the time for which the pipeline had no batch for the thread that
        copies batches to the devices, which is an upper bound of the time that they were idle.
        """
        started = time.perf_counter()
        self._waited.assign(0.0)
        with changed_files_as_user_errors(self._splits["train"]):
            for phase, count in self._optimizer.phases_of(int(self._step.numpy()), iterations):
                self._train_chunk(self._batches, tf.constant(count), phase)
        waited = float(self._waited.read_value()) / self._runtime.workers
        # The thread may have waited for the first batches before this call.
        return min(waited, time.perf_counter() - started)

    def metrics(self) -> Mapping[str, Value]:
        """Means over the updates since the last `reset_metrics`, and the learning rate."""
        updates = max(1.0, float(self._updates.read_value()))
        return {
            "loss": float(self._loss_sum.read_value()) / updates,
            **self._accumulators.results(),
            "gradient_norm": float(self._norm_sum.read_value()) / updates,
            "learning_rate": self._optimizer.current_learning_rate(),
        }

    def reset_metrics(self) -> None:
        """Resets the accumulators behind `metrics`."""
        for variable in (self._loss_sum, self._norm_sum, self._updates):
            variable.assign(0.0)
        self._accumulators.reset()

    def throughput(self, steps_per_second: float) -> Mapping[str, float]:
        """Examples and updates per second."""
        return {
            "examples_per_second": steps_per_second * self._experiment.train.global_batch_size,
            "updates_per_second": steps_per_second,
        }

    def scale_learning_rate(self, factor: float) -> None:
        """Multiplies the configured learning rate of all later updates by `factor`."""
        self._optimizer.learning_rate.scale.assign(factor)

    def evaluate(self) -> Mapping[str, Value]:
        """The metrics of the validation split; empty without one.

        With a moving average they are those of the averaged network; the metrics of the network
        in training have the prefix `raw_`.
        """
        validation = self._splits.get("validation")
        if not validation:
            return {}
        metrics = self.evaluate_split(validation)
        if not self.ema:
            return metrics
        with self.ema.swapped():
            averaged = self.evaluate_split(validation)
        comparable = {each.name for each in self._metrics if each.more_is_better is not None}
        raw = {table.RAW + name: value for name, value in metrics.items() if name in comparable}
        return {**averaged, **raw}

    def evaluate_split(self, examples: Examples) -> Mapping[str, Value]:
        """The metrics over every example of a split, each counted once."""
        sums = self._evaluation.sums(examples, self._metrics, self.signature)
        return finish(self._metrics, sums)

    def score_histograms(self, examples: Examples) -> NDArray[np.float64]:
        """The histograms of `thresholds.scores` over every example of a split."""
        return self._evaluation.sums(examples, (scores(self.signature),), self.signature)[0]

    def baseline(self, examples: Examples) -> Mapping[str, Value]:
        """The metrics of the best predictor that sees no features, see `baseline_outputs`."""
        constant = baseline_outputs(self.signature, self._splits["train"].targets)
        totals = [np.zeros(shape) for shape in sum_shapes(self._metrics, self.signature)]
        for first in range(0, len(examples), _BASELINE_BATCH):
            targets = tf.constant(examples.targets[first : first + _BASELINE_BATCH])
            outputs = tf.tile(constant[None], [len(targets), 1])
            weights = tf.ones([len(targets)])
            sums = metric_sums(self._metrics, self.signature, outputs, targets, weights)
            totals = [total + added.numpy() for total, added in zip(totals, sums, strict=True)]
        return {
            metric.name: metric.finish(total)
            for metric, total in zip(self._metrics, totals, strict=True)
            if metric.more_is_better is not None
        }

    @tf.function
    def _train_chunk(
        self,
        iterator: tf.distribute.DistributedIterator,
        iterations: tf.Tensor,
        phase: int = -1,
    ) -> None:
        """Updates on `iterations` batches, and adds up the seconds waited for them."""
        self.frozen.apply(self._optimizer.phases[phase])
        step = functools.partial(self._train_step, phase)
        for _ in tf.range(iterations):
            batch = self._timed_batch(iterator) if self._runs_on_host else next(iterator)
            self._strategy.run(step, args=batch)

    def _timed_batch(self, iterator: tf.distribute.DistributedIterator) -> Batch:
        """The next batch, and each replica's part of the seconds waited for it."""
        # On a GPU the second time would follow the batch's copy, and that the updates before it:
        # the host could not prepare an update while the last one runs.
        asked = tf.timestamp()
        batch = next(iterator)
        with tf.control_dependencies(self._local_tensors(batch)):
            waited = tf.timestamp() - asked
        return *batch, tf.cast(waited / self._runtime.local_replicas, tf.float32)

    def _train_step(
        self, phase: int, features: tf.Tensor, labels: tf.Tensor, *others: tf.Tensor
    ) -> None:
        """Updates on a batch; `others` are the mixed targets, if any, and the seconds waited."""
        *mixed, waited = others
        targets = mixed[0] if mixed else labels
        self._waited.assign_add(waited)
        if not self._compiles or self._runtime.name == "tpu":
            self._update(phase, features, labels, targets)
        elif self._runtime.replicas == 1:
            self._compiled_update(phase, features, labels, targets)
        else:
            # The sum over replicas is outside XLA, so only the gradients are compiled.
            self._apply(phase, labels, *self._compiled_gradients(features, targets, phase))

    def _update(
        self, phase: int, features: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor
    ) -> None:
        # The loss is that of the mixed targets; metrics count against the labels.
        self._apply(phase, labels, *self._gradients(features, targets, phase))

    @functools.cached_property
    def _compiled_update(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._update, jit_compile=True)

    @functools.cached_property
    def _compiled_gradients(self) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(self._gradients, jit_compile=True)

    def _apply(
        self,
        phase: int,
        labels: tf.Tensor,
        gradients: list[tf.Tensor],
        loss: tf.Tensor,
        logits: tf.Tensor,
    ) -> None:
        norm, loss = self._optimizer.apply(gradients, loss, phase)
        synchronize(self.network.non_trainable_variables)
        self._step.assign_add(1)
        if self.ema:
            self.ema.update(self._step)
        self._loss_sum.assign_add(loss)
        self._norm_sum.assign_add(norm)
        self._updates.assign_add(1.0)
        weights = tf.ones(tf.shape(labels)[:1])
        self._accumulators.add(
            metric_sums(self._metrics[1:], self.signature, logits, labels, weights)
        )

    def _local_tensors(self, batch: Batch) -> list[tf.Tensor]:
        return [
            tensor for value in batch for tensor in self._strategy.experimental_local_results(value)
        ]


def _order(experiment: Supervised, dataset: Dataset) -> Order:
    train = dataset.splits["train"]
    if experiment.train.sampling == "natural":
        return Natural(len(train), experiment.seed)
    if dataset.signature.target != CLASSIFICATION:
        raise UserError(
            f"train.sampling balanced needs classes. Received: a {dataset.signature.target} target"
        )
    return Balanced(train.targets, experiment.seed)
