"""The data of an existing run: its stored signature decides, not what the data are now."""

import dataclasses
import sys
from collections.abc import Sequence

from trainer.data import changes
from trainer.data.examples import Dataset
from trainer.data.signature import Column, Signature
from trainer.engine.workdir import WorkDirectory
from trainer.errors import UserError, unknown_name
from trainer.io.files import read_json
from trainer.io.paths import to_path


def stored_signature(path: str) -> Signature:
    """The signature of the run in a work directory that has a checkpoint."""
    return Signature.from_json(read_json(WorkDirectory(path).signature))


def stored_columns(path: str) -> tuple[Column, ...]:
    """The columns of the table of the run in a work directory; none if there is no run."""
    if not to_path(WorkDirectory(path).signature).exists():
        return ()
    return stored_signature(path).columns


def for_training(dataset: Dataset, path: str, accept_changes: bool) -> Dataset:
    """The data set with the signature that the run in `path` has, or gets if it begins now.

    Args:
      dataset: what the configuration describes, without splits that the run must not see.
      path: the work directory.
      accept_changes: continue a run with changed data; its scaling and classes stay.

    Raises:
      UserError: if the data have changed since the run began and that is not accepted, or the
        run's network cannot use them.
    """
    if not to_path(WorkDirectory(path).signature).exists():
        return changes.with_contents(dataset)
    # Thresholds are chosen anew at the end.
    stored = dataclasses.replace(stored_signature(path), thresholds=())
    dataset = changes.with_contents(changes.adopt(dataset, stored))
    changed = "; ".join(changes.differences(stored.splits, dataset.signature.splits))
    # Runs of an earlier version have nothing to compare with.
    if not changed or not stored.splits:
        return dataset
    if not accept_changes:
        raise UserError(
            f"the data have changed since the run in --workdir={path} began: {changed}; restore "
            "them, train in another directory, or continue with --accept_changed_data, which "
            "keeps the run's scaling and classes"
        )
    print(f"continuing with changed data: {changed}", file=sys.stderr)
    return dataset


def check_same(paths: Sequence[str]) -> None:
    """Checks that runs, by their work directories, had the same data.

    Raises:
      UserError: with what differs from the first run.
    """
    first, *others = [stored_signature(path).splits for path in paths]
    for path, splits in zip(paths[1:], others, strict=True):
        changed = "; ".join(changes.differences(first, splits))
        if changed and first:
            raise UserError(
                f"the data have changed between the runs in {paths[0]} and {path}: {changed}; "
                "train all seeds in another --workdir, or add --accept_changed_data"
            )


def for_evaluation(dataset: Dataset, split: str, signature: Signature) -> Dataset:
    """The data set with a run's scaling and classes; says so if the split has changed.

    Raises:
      UserError: if there is no such split, or the run's network cannot use the data.
    """
    if split not in dataset.splits:
        raise unknown_name("split of the data", split, dataset.splits)
    dataset = changes.adopt(dataset, signature)
    # A run that must not see its test split has no digest of it.
    if before := [each for each in signature.splits if each.split == split]:
        now = changes.contents(split, dataset.splits[split])
        for change in changes.differences(before, [now]):
            print(f"the data differ from the run's: {change}", file=sys.stderr)
    return dataset
