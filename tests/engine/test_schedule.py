import pytest

from trainer.engine.schedule import Action, steps_until_due


def action(every, at_end=True):
    return Action(every, at_end, run=lambda: None)


@pytest.mark.parametrize(
    ("every", "at_end", "due"),
    [
        (10, True, [10, 20, 25]),
        (10, False, [10, 20]),
        (0, False, list(range(1, 26))),
        (40, True, [25]),
    ],
)
def test_actions_are_due_at_multiples_and_at_the_end(every, at_end, due):
    made = action(every, at_end)
    assert [step for step in range(1, 26) if made.is_due(step, total_steps=25)] == due


@pytest.mark.parametrize(("step", "expected"), [(0, 6), (5, 1), (6, 4), (10, 2), (24, 1)])
def test_steps_until_the_next_action_or_the_end(step, expected):
    assert steps_until_due([action(0), action(6), action(10)], step, total_steps=25) == expected


@pytest.mark.parametrize(("step", "expected"), [(0, 3), (3, 1), (4, 2), (6, 4)])
def test_a_chunk_ends_at_borders_too(step, expected):
    assert steps_until_due([action(0), action(10)], step, 25, borders=(3, 4, 6)) == expected
