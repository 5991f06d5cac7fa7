"""The metrics of agents: what evaluations and reports of reinforcement learning contain."""

from collections.abc import Mapping

# Of greedy episodes; whether more is better, None where neither is.
EVALUATION: Mapping[str, bool | None] = {
    "return_mean": True,
    "return_std": None,
    "return_iqm": True,
    "return_min": True,
    "success_rate": True,
    "discounted_return_mean": True,
    "q_first_mean": None,
    "length_mean": None,
    "episodes": None,
    "episodes_unfinished": False,
}
# Of the last checkpoint; only the final evaluation has them, beside the results of the best.
LAST: Mapping[str, bool | None] = {"last_return_mean": True, "last_return_iqm": True}
# Of the steps and updates since the last report. An agent adds its own figures.
TRAINING: Mapping[str, bool | None] = {
    "return_mean": True,
    "return_std": None,
    "length_mean": None,
    "episodes": None,
    "loss": False,
    "q_mean": None,
    "td_error": False,
    "epsilon": None,
    "gradient_norm": None,
    "learning_rate": None,
    "replay_fill": None,
    "env_steps_per_second": True,
    "updates_per_second": True,
}
