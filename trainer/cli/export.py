"""`trainer export`."""

from collections.abc import Sequence

from absl import flags as absl_flags

from trainer.cli import distribution_flags, flags
from trainer.config.loading import Experiment
from trainer.config.supervised import Supervised
from trainer.engine.distribution_config import DistributionConfig
from trainer.errors import UserError, unknown_name

USAGE = "trainer export --workdir=DIR --output=DIR [--format=saved_model] [flags]"
TAKES_CONFIG = False
_OF_NETWORKS = ("saved_model", "keras", "tflite", "tflite_int8", "onnx")
_OF_AGENTS = ("policy", "saved_model")
_HOW_TO_LOAD = {
    "saved_model": "tf.saved_model.load({output!r}).signatures['serving_default']",
    "keras": "tf_keras.models.load_model('{output}/model.keras')",
    "tflite": "ai_edge_litert.interpreter.Interpreter('{output}/model.tflite')",
    "tflite_int8": "ai_edge_litert.interpreter.Interpreter('{output}/model.tflite')",
    "onnx": "onnxruntime.InferenceSession('{output}/model.onnx')",
    "policy": "tf_agents.policies.SavedModelPyTFEagerPolicy("
    "{output!r}, load_specs_from_pbtxt=True)",
}


def _define(values: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "output", "", "New directory for the export, local or gs://….", flag_values=values
    )
    absl_flags.DEFINE_string(
        "format",
        "",
        f"Of networks: {' | '.join(_OF_NETWORKS)}; of agents: {' | '.join(_OF_AGENTS)}; empty: "
        "the first.",
        flag_values=values,
    )
    absl_flags.DEFINE_string(
        "intended_use", "", "What the model is for: a text for the model card.", flag_values=values
    )
    absl_flags.DEFINE_boolean(
        "check",
        False,
        "Check the export in --output instead of writing one: its files, and that it computes what "
        "the run computes.",
        flag_values=values,
    )


FLAGS = (flags.workdir, _define, flags.data_dir)


def run(arguments: Sequence[str], started: float) -> None:
    """Writes an export, or checks one, and prints how to load it."""
    del started
    values, positional = flags.parse(FLAGS, arguments)
    if positional:
        raise UserError(f"export takes flags only. Received: {' '.join(positional)}")
    if not values.output:
        raise UserError("--output=DIR is required: a new directory for the export")
    distribution_flags.prepare_process(DistributionConfig(strategy="cpu"))
    from trainer.engine.workdir import load_experiment

    experiment = load_experiment(values.workdir)
    formats = _OF_NETWORKS if isinstance(experiment, Supervised) else _OF_AGENTS
    kind = values.format or formats[0]
    if kind not in formats:
        raise unknown_name("value of --format", kind, formats)
    step = _check(experiment, values) if values.check else _export(experiment, values, kind)
    unit = "step" if isinstance(experiment, Supervised) else "environment step"
    if values.check:
        print(f"the export in {values.output} computes what the run computes at {unit} {step}")
        return
    print(
        f"exported {unit} {step} as {kind} to {values.output}; it was opened without trainer and "
        "compared with the run\n"
        f"load it with {_HOW_TO_LOAD[kind].format(output=values.output)}"
    )


def _export(experiment: Experiment, values: absl_flags.FlagValues, kind: str) -> int:
    """Writes an export; returns the step of the weights."""
    from trainer.export.checking import Checker

    # Its process loads TensorFlow while this one does.
    with Checker(kind) as checker:
        if isinstance(experiment, Supervised):
            from trainer.export import network

            return network.export(
                experiment,
                values.workdir,
                values.output,
                kind,
                values.data_dir,
                values.intended_use,
                checker,
            )
        from trainer.export import policy

        return policy.export(
            experiment, values.workdir, values.output, kind, values.intended_use, checker
        )


def _check(experiment: Experiment, values: absl_flags.FlagValues) -> int:
    """Checks an export; returns the step of the weights."""
    if isinstance(experiment, Supervised):
        from trainer.export import network

        return network.check(experiment, values.workdir, values.output, values.data_dir)
    from trainer.export import policy

    return policy.check(experiment, values.workdir, values.output)
