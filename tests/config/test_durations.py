import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import OneCycleSchedule, StepSchedule
from trainer.config.durations import Duration, parse_duration
from trainer.errors import UserError


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500", Duration(500, "steps")),
        ("500 steps", Duration(500, "steps")),
        ("1step", Duration(1, "steps")),
        ("5 epochs", Duration(5, "epochs")),
        ("1 epoch", Duration(1, "epochs")),
        ("0.5epochs", Duration(0.5, "epochs")),
        ("10 %", Duration(10, "%")),
        (" 2.5% ", Duration(2.5, "%")),
        ("0", Duration(0, "steps")),
    ],
)
def test_a_duration_is_a_number_with_a_unit(text, duration):
    assert parse_duration(text, "warmup") == duration


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "2.5 steps", "101 %", "five", "5 days", "1e3", "5 epochs 3", "%"]
)
def test_other_text_is_an_error_of_one_line(text):
    with pytest.raises(UserError, match=r"^warmup must be a duration") as caught:
        parse_duration(text, "warmup")
    assert str(caught.value).endswith(f"Received: {text!r}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "updates"),
    [("30", 30), ("2 epochs", 25), ("0.5 epochs", 6), ("10 %", 100), ("0.25 %", 2), ("100%", 1000)],
)
def test_updates_are_rounded_to_the_nearest(text, updates):
    assert parse_duration(text, "warmup").updates(1000, 12.5) == updates


def test_an_agent_has_no_epochs():
    with pytest.raises(UserError, match=r"an agent has no epochs.* Received: '5 epochs'"):
        parse_duration("5 epochs", "warmup").updates(1000, None)
    assert parse_duration("5 %", "warmup").updates(1000, None) == 50


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_steps_depend_on_no_length(steps, total):
    assert parse_duration(f"{steps} steps", "warmup").updates(total, None) == steps


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepSchedule(warmup="soon"), "warmup must be a duration"),
        (lambda: StepSchedule(boundaries=("1 epoch", "200 %")), "boundaries must be a duration"),
        (lambda: StepSchedule(boundaries=()), "boundaries must not be empty"),
        (lambda: OneCycleSchedule(peak="half"), "peak must be a duration"),
    ],
)
def test_a_section_checks_its_durations(make, message):
    with pytest.raises(UserError, match=f"^{message}"):
        make()
