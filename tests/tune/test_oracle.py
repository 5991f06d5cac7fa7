"""The oracles: exact restoration, and failures that neither end nor mislead a search."""

import json
import math

import pytest

from trainer.tune.coordinator import NoTrial
from trainer.tune.oracle import Oracle
from trainer.tune.space import (
    Bayesian,
    Choice,
    Grid,
    Hyperband,
    Integers,
    LogUniform,
    Objective,
    Random,
    Search,
    When,
)

KIND = Choice("model.kind", ("cnn", "mlp"))
SPACE = (
    LogUniform("optimizer.learning_rate", 1e-4, 1e-1),
    KIND,
    Choice("model.units", ((64,), (32, 32))),
    Integers("model.depth", 1, 3, when=When("model.kind", ("mlp",))),
    Choice("model.batch_norm", (True, False)),
)


def search(kind, space=SPACE, direction="max"):
    return Search(Objective("eval/accuracy", direction), space, kind)


def score(values):
    return -((math.log10(values["optimizer.learning_rate"]) + 2) ** 2)


def sequence(kind, length, restart, fail=()):
    """The proposals of an oracle; if `restart`, it is restored from JSON after each step."""
    oracle, proposals = Oracle(search(kind), full_length=9), []

    def turn(oracle):
        if not restart:
            return oracle
        again = Oracle(search(kind), full_length=9)
        again.restore(json.loads(json.dumps(oracle.state())))
        return again

    for number in range(length):
        proposal = oracle.ask()
        proposals.append(proposal)
        if isinstance(proposal, NoTrial):
            break
        oracle = turn(oracle)
        oracle.tell(proposal.id, None if number in fail else score(proposal.values))
        oracle = turn(oracle)
    return proposals


@pytest.mark.parametrize(
    ("kind", "length"),
    [(Random(), 12), (Grid(), 40), (Hyperband(shortest=1), 30), (Bayesian(initial=3), 5)],
    ids=lambda value: type(value).__name__,
)
def test_restored_oracle_continues_exactly(kind, length):
    assert sequence(kind, length, restart=True, fail=(1,)) == sequence(
        kind, length, restart=False, fail=(1,)
    )


@pytest.mark.parametrize("kind", [Random(), Grid(), Hyperband(shortest=1)])
def test_consecutive_failures_do_not_end_a_search(kind):
    proposals = sequence(kind, 10, restart=False, fail=range(10))
    assert len([p for p in proposals if not isinstance(p, NoTrial)]) == 10


def test_values_have_the_types_of_the_search_file():
    for proposal in sequence(Random(), 12, restart=False):
        assert proposal.values["model.units"] in ((64,), (32, 32))
        assert type(proposal.values["model.batch_norm"]) is bool
        assert ("model.depth" in proposal.values) == (proposal.values["model.kind"] == "mlp")


def test_grid_proposes_every_combination_once():
    space = (Choice("train.global_batch_size", (32, 64, 128)), KIND)
    oracle, seen = Oracle(search(Grid(), space), 1.0), []
    while not isinstance(proposal := oracle.ask(), NoTrial):
        seen.append((proposal.values["train.global_batch_size"], proposal.values["model.kind"]))
        oracle.tell(proposal.id, 0.0)
    assert proposal is NoTrial.DONE
    assert sorted(seen) == [(size, kind) for size in (32, 64, 128) for kind in ("cnn", "mlp")]


@pytest.mark.parametrize("fail", [(), range(0, 20, 2), range(20)], ids=["none", "half", "all"])
def test_hyperband_fills_its_rungs_and_resumes_the_best(fail):
    proposals = sequence(Hyperband(shortest=1), 100, restart=False, fail=fail)
    assert proposals.pop() is NoTrial.DONE
    by_id = {proposal.id: proposal for proposal in proposals}
    fractions = sorted({proposal.fraction for proposal in proposals})
    assert fractions == pytest.approx([1 / 9, 1 / 3, 1])
    continued = [proposal for proposal in proposals if proposal.parent]
    assert continued
    for proposal in continued:
        source = by_id[proposal.parent]
        assert source.values == proposal.values
        assert source.fraction == pytest.approx(proposal.fraction / 3)
    if not fail:
        first = [p for p in proposals if p.fraction == fractions[0]]
        promoted = {p.parent for p in continued} & {p.id for p in first}
        best = sorted(first, key=lambda p: -score(p.values))[: len(promoted)]
        assert promoted == {p.id for p in best}


def test_rounding_of_the_length_does_not_lose_a_rung():
    assert 0.3 / 0.1 < 3
    first = Oracle(search(Hyperband(shortest=0.1)), full_length=0.3).ask()
    assert first.fraction == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("kind", "space"),
    [
        (Grid(), SPACE[1:]),
        (Grid(), (Integers("model.units", 8, 64, log=True), LogUniform("model.dropout", 0.1, 0.5))),
        (Grid(), (Integers("model.units", 8, 20, step=4), KIND)),
        (Hyperband(shortest=1), SPACE),
        (Hyperband(shortest=0.5, factor=2), SPACE),
    ],
)
def test_costs_are_those_of_the_proposals(kind, space):
    oracle, fractions, costs = Oracle(search(kind, space), full_length=9), {"": 0.0}, []
    expected = oracle.costs
    while not isinstance(proposal := oracle.ask(), NoTrial):
        fractions[proposal.id] = proposal.fraction
        costs.append(proposal.fraction - fractions[proposal.parent])
        oracle.tell(proposal.id, float(len(costs)))
    assert proposal is NoTrial.DONE
    assert sorted(costs) == pytest.approx(sorted(expected))


@pytest.mark.parametrize("direction", ["max", "min"])
def test_bayesian_oracle_approaches_the_optimum(direction):
    sign = 1 if direction == "max" else -1
    values = proposed(direction, lambda value: sign * score({SPACE[0].path: value}))
    # The optimum is at 1e-2; three decades are searched.
    assert min(abs(math.log10(value) + 2) for value in values[3:]) < 0.1


def test_bayesian_oracle_leaves_a_region_of_failures():
    # Only the highest learning rates succeed.
    values = proposed("max", lambda value: None if value < 3e-2 else score({SPACE[0].path: value}))
    assert len(set(values)) == len(values)
    assert sum(value > 3e-2 for value in values[3:]) >= 2


def test_bayesian_oracle_proposes_nothing_twice():
    space = (Choice("train.global_batch_size", (32, 64, 128, 256)),)
    oracle, seen = Oracle(search(Bayesian(initial=2), space), 1.0), []
    for _ in range(4):
        proposal = oracle.ask()
        seen.append(proposal.values["train.global_batch_size"])
        oracle.tell(proposal.id, -abs(seen[-1] - 64.0))
    assert sorted(seen) == [32, 64, 128, 256]
    assert oracle.ask() is NoTrial.DONE


@pytest.mark.parametrize("rate", [1e-2, 1.0])
def test_bayesian_oracle_learns_from_a_baseline_in_its_space(rate):
    firsts = []
    for score in (None, 1.0):
        oracle = Oracle(search(Bayesian(initial=1), SPACE[:1]), 1.0)
        baseline = oracle.add_baseline({"optimizer.learning_rate": rate})
        again = Oracle(search(Bayesian(initial=1), SPACE[:1]), 1.0)
        again.restore(json.loads(json.dumps(oracle.state())))
        again.tell(baseline.id, score)
        firsts.append(again.ask())
    assert {first.id for first in firsts} == {"0001"}
    # Without a score to learn from the first proposal is random.
    assert (firsts[0] == firsts[1]) == (rate == 1.0)


def proposed(direction, evaluate):
    oracle = Oracle(search(Bayesian(initial=3), SPACE[:1], direction), 1.0)
    values = []
    for _ in range(8):
        proposal = oracle.ask()
        values.append(proposal.values[SPACE[0].path])
        oracle.tell(proposal.id, evaluate(values[-1]))
    return values


def test_seed_of_zero_is_reproducible():
    assert sequence(Random(), 3, restart=False) == sequence(Random(), 3, restart=False)
