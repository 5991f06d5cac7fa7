"""The environment of configs/environments, and environments of their own for evaluations."""

import csv
import dataclasses
import json
import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from trainer.cli.main import run
from trainer.config import Environment, loading
from trainer.errors import UserError
from trainer.rl.envs import registry

ROOT = Path(__file__).parents[3]
MODULE = "configs.environments.stock_trading"
FIRST_DAY = date(2013, 6, 3)
DAYS = 1500


def write_prices(path, close):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Date", "Close"])
        for number, price in enumerate(close):
            rows.writerow([(FIRST_DAY + timedelta(number)).isoformat(), repr(float(price))])


@pytest.fixture
def close(tmp_path, monkeypatch):
    prices = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, DAYS)))
    write_prices(tmp_path / "prices.csv", prices)
    monkeypatch.setenv("STOCK_PRICES", str(tmp_path / "prices.csv"))
    monkeypatch.chdir(ROOT)
    return prices


@pytest.fixture
def periods(close, monkeypatch):
    del close
    monkeypatch.syspath_prepend(str(ROOT))
    from configs.environments import stock_trading

    return stock_trading


def play(environment, actions):
    environment.reset(seed=0)
    rewards, is_last = [], False
    while not is_last:
        _, reward, _, is_last, _ = environment.step(actions[len(rewards) % len(actions)])
        rewards.append(reward)
    return rewards


def test_rewards_add_up_to_the_wealth(periods, close):
    rewards = play(periods.Validation(), [1, 1, 0, 1])
    dates = np.array([(FIRST_DAY + timedelta(n)).isoformat() for n in range(DAYS)])
    wealth, held = 1.0, 0
    days = [n for n in range(1, DAYS) if "2015" <= dates[n] < "2017"]
    for number, day in enumerate(days):
        position = [1, 1, 0, 1][number % 4]
        wealth *= (1 - periods.COST) ** abs(position - held)
        wealth *= close[day] / close[day - 1] if position else 1
        held = position
    assert len(rewards) == len(days)
    np.testing.assert_allclose(sum(rewards), 100 * math.log(wealth), rtol=1e-9)
    assert sum(play(periods.Validation(), [0])) == 0


def test_an_observation_holds_the_past_only(periods, close, tmp_path):
    environment = periods.Test()
    before, _ = environment.reset(seed=0)
    first = environment._day
    # Changes every later price, that of the day to be decided included.
    changed = close.copy()
    changed[first + 1 :] *= 2
    write_prices(tmp_path / "prices.csv", changed)
    after, _ = periods.Test().reset(seed=0)
    np.testing.assert_array_equal(before, after)
    returns = 100 * np.diff(np.log(close))[first - periods.WINDOW : first]
    np.testing.assert_allclose(before, [*returns, 0], rtol=1e-5)


def test_periods_do_not_overlap(periods):
    training, validation, test = (
        set(each()._days) for each in (periods.Training, periods.Validation, periods.Test)
    )
    assert max(training) < min(validation) <= max(validation) < min(test)
    starts = {periods.Training().reset(seed=seed)[0].tobytes() for seed in range(5)}
    assert len(starts) > 1


def test_evaluations_have_their_own_environments(periods, close, tmp_path, capsys):
    del close
    config = loading.load("configs/stock_trading_dqn.py")
    # Before the agent has learned, it is evaluated on both periods.
    config = dataclasses.replace(
        config,
        seeds=1,
        train=dataclasses.replace(config.train, steps=64, evaluate_every=64),
        agent=dataclasses.replace(
            config.agent, replay=dataclasses.replace(config.agent.replay, min_size=10_000)
        ),
    )
    path = tmp_path / "config.json"
    path.write_text(loading.to_json(config))
    workdir = tmp_path / "run"
    assert run(["train", f"--config={path}", f"--workdir={workdir}"]) == 0
    capsys.readouterr()
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    lengths = {each["split"]: each["metrics"].get("length_mean") for each in records}
    assert lengths["eval"] == len(periods.Validation()._days)
    assert lengths["test"] == len(periods.Test()._days)


def test_another_environment_of_evaluations_must_have_the_same_spaces():
    section = Environment(name="CartPole-v1", test_name="Acrobot-v1")
    with pytest.raises(UserError, match=r"environment.test_name 'Acrobot-v1' must have the obs"):
        registry.make_split(section, "test")
    assert registry.make_split(section, "validation").spec == registry.make(section).spec
