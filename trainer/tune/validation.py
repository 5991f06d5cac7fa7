"""A search file, read and held against the experiment it is for, before any trial."""

import dataclasses
from collections.abc import Mapping

from trainer.config import loading
from trainer.config.supervised import Supervised
from trainer.errors import UserError, unknown_name
from trainer.tune.space import Choice, Dimension, Hyperband, Search, Value, overrides, text

# What a report of each kind of experiment holds; a test compares it with real ones.
METRICS: Mapping[str, tuple[str, ...]] = {
    "supervised": ("eval/accuracy", "eval/loss", "train/accuracy", "train/loss"),
    "rl": (
        "eval/discounted_return_mean",
        "eval/episodes",
        "eval/length_mean",
        "eval/q_first_mean",
        "eval/return_iqm",
        "eval/return_mean",
        "eval/return_min",
        "train/episodes",
        "train/epsilon",
        "train/length_mean",
        "train/loss",
        "train/return_mean",
    ),
}

# Fields of `data` that say which examples there are, and which of them validate and test.
_COMPARED_ON = (
    *("kind", "name", "path", "test_path", "label"),
    *("train_split", "validation_split", "test_split"),
    *("validation_fraction", "split_seed", "test_fraction"),
)


def load(path: str) -> Search:
    """The search of a file's `get_search()`.

    Raises:
      UserError: if the file is missing, broken, or gives no search.
    """
    if not path:
        raise UserError(
            "--search=FILE says what to search, for example --search=configs/tune/digits.py. "
            "Received: no --search"
        )
    search = loading.run_function(path, "get_search")
    if not isinstance(search, Search):
        raise UserError(
            "get_search() must return a Search from trainer.tune.space. "
            f"Received: {type(search).__name__} from {path}"
        )
    return search


def for_trials(experiment: loading.Experiment) -> loading.Experiment:
    """The experiment as trials run it: blind to the test split."""
    if isinstance(experiment, Supervised):
        return loading.override(experiment, ["--config.evaluate.split=validation"])
    return experiment


def check(search: Search, experiment: loading.Experiment) -> None:
    """Refuses a search that this experiment cannot serve.

    Raises:
      UserError: for an unknown objective, a field that does not exist, a value its field
        refuses, or a field that is not for searching.
    """
    known = METRICS[experiment.task]
    if search.objective.name not in known:
        if search.objective.name.startswith("test/"):
            raise UserError(
                "a search never looks at the test split; take an objective of eval. "
                f"Received: {search.objective.name!r}"
            )
        raise unknown_name("objective", search.objective.name, known)
    if isinstance(experiment, Supervised) and experiment.evaluate.split != "test":
        raise UserError(
            "evaluate.split is the search's to choose; leave it at test. "
            f"Received: {experiment.evaluate.split!r}"
        )
    if not isinstance(experiment, Supervised) and experiment.seeds > 1:
        raise UserError(
            "a search trains a trial several times with executions=K in its own file; leave "
            f"seeds at 1. Received: seeds={experiment.seeds}"
        )
    taken = _taken(search, experiment)
    for dimension in search.space:
        if dimension.path in taken:
            raise UserError(f"{dimension.path} is {taken[dimension.path]}. Received: {dimension}")
    if isinstance(search.oracle, Hyperband):
        length = getattr(experiment.train, length_field(experiment))
        if search.oracle.shortest * search.oracle.factor > length * (1 + 1e-9):
            raise UserError(
                f"Hyperband's shortest times its factor must be at most train."
                f"{length_field(experiment)} = {length:g}. Received: {search.oracle}"
            )
    _check_kinds(search, experiment)
    by_path = {dimension.path: dimension for dimension in search.space}
    for dimension in search.space:
        for value in dimension.ends:
            _check_value(dimension, value, by_path, experiment)


def length_field(experiment: loading.Experiment) -> str:
    """Which field of `train` says how long a run is."""
    return (
        "epochs" if isinstance(experiment, Supervised) and not experiment.train.steps else "steps"
    )


def _taken(search: Search, experiment: loading.Experiment) -> dict[str, str]:
    taken = {
        "evaluate.split": "the search's to choose",
        "task": "the file's to choose",
        "seeds": "executions, in the search file",
    }
    if search.executions > 1:
        taken["seed"] = "what the executions of a trial differ in"
    if isinstance(search.oracle, Hyperband):
        taken["train.steps"] = taken["train.epochs"] = "Hyperband's to choose"
    if isinstance(experiment, Supervised):
        for name in _COMPARED_ON:
            taken[f"data.{name}"] = "what trials are compared on, the same for all"
    return taken


def _check_value(
    dimension: Dimension,
    value: Value,
    by_path: Mapping[str, Dimension],
    experiment: loading.Experiment,
) -> None:
    """One value of one dimension, under each of the conditions that it comes with."""
    for parents in _conditions(dimension, by_path):
        values = {**parents, dimension.path: value}
        try:
            loading.override(experiment, overrides(values))
        except UserError as error:
            shown = " ".join(overrides(values))
            raise UserError(f"the search space is refused at {shown}: {error}") from None


def _conditions(dimension: Dimension, by_path: Mapping[str, Dimension]) -> list[dict[str, Value]]:
    if dimension.when is None:
        return [{}]
    parent = by_path[dimension.when.path]
    return [
        {**above, parent.path: value}
        for above in _conditions(parent, by_path)
        for value in dimension.when.values
    ]


def _check_kinds(search: Search, experiment: loading.Experiment) -> None:
    """Every kind that may be chosen must have all the fields that are set along with it."""
    for chooser in search.space:
        if not (isinstance(chooser, Choice) and chooser.path.endswith(".kind")):
            continue
        section = chooser.path.removesuffix("kind")
        for kind in chooser.values:
            with_kind = loading.override(experiment, overrides({chooser.path: kind}))
            fields = [path for path, _, _ in loading.paths(with_kind)]
            for dimension in search.space:
                when = dimension.when
                depends = when is not None and when.path == chooser.path
                active = not depends or text(kind) in map(text, when.values)  # type: ignore[union-attr]
                if dimension.path.startswith(section) and active and dimension.path not in fields:
                    raise UserError(
                        f"{dimension.path} does not exist where {chooser.path} is {kind!r}; give "
                        f"it when=When({chooser.path!r}, (…,)). Received: {dimension}"
                    )


def shortened(experiment: loading.Experiment, share: float) -> loading.Experiment:
    """The experiment with a share of its length, at least one step."""
    name = length_field(experiment)
    length = getattr(experiment.train, name) * share
    length = length if name == "epochs" else max(1, round(length))
    train = dataclasses.replace(experiment.train, **{name: length})
    return dataclasses.replace(experiment, train=train)  # type: ignore[arg-type]
