"""Checks of a search against its experiment, before the first trial."""

from collections.abc import Mapping

from trainer.config import loading, overrides
from trainer.config.inspection import leaves
from trainer.config.supervised import Supervised
from trainer.errors import UserError, unknown_name
from trainer.metrics import table
from trainer.tune.space import Choice, Dimension, Hyperband, Search, Value, to_text

# Fields of `data` that select the examples, and those of validation and test.
_FIELDS_OF_EXAMPLES = (
    *("kind", "name", "path", "test_path", "label", "source"),
    *("train_split", "validation_split", "test_split"),
    *("validation_fraction", "split_seed", "test_fraction"),
)


def load(path: str) -> Search:
    """Returns the search of a file with `get_search()`.

    Raises:
      UserError: if the file is missing or fails, or does not return a search.
    """
    if not path:
        raise UserError("--search=FILE is required, for example --search=configs/tune/digits.py")
    search = loading.run_function(path, "get_search")
    if not isinstance(search, Search):
        raise UserError(
            f"{path}: get_search() must return a Search from trainer.tune.space. "
            f"Received: {type(search).__name__}"
        )
    return search


def without_test_split(experiment: loading.Experiment) -> loading.Experiment:
    """Returns the experiment as trials run it: evaluated on the validation split."""
    return overrides.apply(experiment, {"evaluate.split": "validation"})


def with_unused_seed(experiment: loading.Experiment, search: Search) -> loading.Experiment:
    """Returns an experiment with a seed that no trial of a search has.

    A trial is chosen for the luck of its seed too; with another seed, and for agents with other
    episodes, its figures are unbiased.
    """
    return overrides.apply(experiment, {"seed": experiment.seed + search.executions})


def check(search: Search, experiment: loading.Experiment) -> None:
    """Checks that a search is possible with an experiment.

    Raises:
      UserError: for an unknown objective, an unknown field, an invalid value, or a field that
        cannot be searched.
    """
    _check_objective(search, experiment)
    if experiment.seeds > 1:
        raise UserError(
            "seeds must be 1 in a search; set executions=K in the search file to train each trial "
            f"with K seeds. Received: {experiment.seeds}"
        )
    with_unused_seed(experiment, search)
    reserved = _reserved_fields(search, experiment)
    for dimension in search.space:
        if dimension.path in reserved:
            raise UserError(f"{dimension.path} cannot be searched: {reserved[dimension.path]}")
    if isinstance(search.oracle, Hyperband):
        length = getattr(experiment.train, length_field(experiment))
        if search.oracle.shortest * search.oracle.factor > length * (1 + 1e-9):
            raise UserError(
                f"Hyperband's shortest * factor must be at most train."
                f"{length_field(experiment)} = {length:g}. Received: {search.oracle}"
            )
        _check_schedule(search, experiment)
    _check_kinds(search, experiment)
    by_path = {dimension.path: dimension for dimension in search.space}
    for dimension in search.space:
        for value in dimension.values_to_check:
            _check_value(dimension, value, by_path, experiment)


def _check_objective(search: Search, experiment: loading.Experiment) -> None:
    name, known = search.objective.name, table.reported(experiment)
    if name.startswith("test/"):
        raise UserError(
            f"a search must not use the test split; choose an objective of eval. Received: {name!r}"
        )
    if name not in known:
        raise unknown_name("objective", name, known)
    if not name.startswith("eval/"):
        raise UserError(f"a search selects on a metric of eval. Received: {name!r}")


def _check_schedule(search: Search, experiment: loading.Experiment) -> None:
    """Checks that Hyperband's shorter trials can follow the schedule of the full length."""
    path = "optimizer.schedule.kind"
    kinds = {experiment.optimizer.schedule.kind}
    for dimension in search.space:
        if isinstance(dimension, Choice) and dimension.path == path:
            kinds = set(map(to_text, dimension.values))
    # A warmup may be a share of the run.
    is_constant = kinds == {"constant"} and "%" not in getattr(
        experiment.optimizer.schedule, "warmup", ""
    )
    fixed = experiment.optimizer.schedule_steps or length_field(experiment) == "steps"
    if not is_constant and not fixed:
        raise UserError(
            "Hyperband with a schedule that depends on the length needs a length in train.steps "
            f"instead of train.epochs, for example --config.train.steps=1000. Received: {path}="
            f"{','.join(sorted(kinds))}"
        )


def length_field(experiment: loading.Experiment) -> str:
    """Returns the field of `train` that determines the length of a run."""
    by_epochs = isinstance(experiment, Supervised) and not experiment.train.steps
    return "epochs" if by_epochs else "steps"


def shortened(experiment: loading.Experiment, fraction: float) -> loading.Experiment:
    """Returns the experiment with a fraction of its length, at least one step.

    Its schedules keep the full length, so that it can be extended as if it had not been short.
    """
    name = length_field(experiment)
    length = getattr(experiment.train, name)
    if name == "epochs":
        return overrides.apply(experiment, {"train.epochs": length * fraction})
    schedule_steps = experiment.optimizer.schedule_steps or length
    return overrides.apply(
        experiment,
        {
            "train.steps": max(1, round(length * fraction)),
            "optimizer.schedule_steps": schedule_steps,
        },
    )


def _reserved_fields(search: Search, experiment: loading.Experiment) -> dict[str, str]:
    """Returns the fields that cannot be searched, with the reason."""
    reserved = {
        "evaluate.split": "the search sets it",
        "task": "the configuration file sets it",
        "seed": "it is no property of a configuration; set executions in the search file",
        "seeds": "set executions in the search file",
        "optimizer.schedule_steps": "set it in the experiment",
    }
    if isinstance(search.oracle, Hyperband):
        reserved["train.steps"] = reserved["train.epochs"] = "Hyperband sets it"
    if isinstance(experiment, Supervised):
        for name in _FIELDS_OF_EXAMPLES:
            reserved[f"data.{name}"] = "all trials must be compared on the same examples"
    return reserved


def _check_value(
    dimension: Dimension,
    value: Value,
    by_path: Mapping[str, Dimension],
    experiment: loading.Experiment,
) -> None:
    """Checks a value of a dimension under each of its conditions."""
    for parents in _conditions(dimension, by_path):
        values = {**parents, dimension.path: value}
        try:
            overrides.apply(experiment, values)
        except UserError as error:
            shown = ", ".join(f"{path}={to_text(one)}" for path, one in values.items())
            raise UserError(f"the search space is invalid at {shown}: {error}") from None


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
    """Checks that each kind of a dimension has the fields that are set together with it."""
    for chooser in search.space:
        if not (isinstance(chooser, Choice) and chooser.path.endswith(".kind")):
            continue
        section = chooser.path.removesuffix("kind")
        for kind in chooser.values:
            with_kind = overrides.apply(experiment, {chooser.path: kind})
            fields = [leaf.path for leaf in leaves(with_kind)]
            for dimension in search.space:
                is_set = dimension.path.startswith(section) and _is_active(dimension, chooser, kind)
                if is_set and dimension.path not in fields:
                    raise UserError(
                        f"{dimension.path} does not exist if {chooser.path} is {kind!r}; add "
                        f"when=When({chooser.path!r}, (…,)) to its dimension"
                    )


def _is_active(dimension: Dimension, chooser: Choice, kind: Value) -> bool:
    """Returns True unless the condition of a dimension excludes a kind."""
    when = dimension.when
    if when is None or when.path != chooser.path:
        return True
    return to_text(kind) in map(to_text, when.values)
