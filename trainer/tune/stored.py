"""A search as it is stored, for reading only."""

import dataclasses

from trainer.io import files
from trainer.tune.layout import Layout
from trainer.tune.space import Search, search_from_json
from trainer.tune.trial import Trial, ranked, trial_from_json


@dataclasses.dataclass(frozen=True)
class StoredSearch:
    """The part of a `Study` that a report shows.

    Attributes:
      layout: the directory of the search.
      search: its settings.
      trials: by id, in the order of their proposals.
    """

    layout: Layout
    search: Search
    trials: dict[str, Trial]

    @property
    def best(self) -> Trial | None:
        """The best of the longest finished trials; of equal ones the first."""
        return next(iter(ranked(self.trials.values(), self.search.objective)), None)


def read(layout: Layout) -> StoredSearch:
    """Reads search.json, which must exist."""
    state = files.read_json(layout.state)
    trials = map(trial_from_json, state["trials"])
    search = search_from_json(state["search"])
    return StoredSearch(layout, search, {trial.id: trial for trial in trials})
