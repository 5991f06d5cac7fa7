import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import (
    CNN,
    CSV,
    DQN,
    MLP,
    SGD,
    Adam,
    ConstantSchedule,
    CosineSchedule,
    CustomModel,
    PrioritizedReplay,
    RandomCrop,
    RandomFlip,
    ReinforcementLearning,
    Supervised,
    Train,
    UniformReplay,
)
from trainer.config.inspection import leaves
from trainer.config.overrides import apply, parse
from trainer.errors import UserError


def text_of(leaf):
    """A leaf as an argument of the command line."""
    kinds = leaf.kinds and isinstance(leaf.value, tuple)
    return f"--config.{leaf.path}={','.join(leaf.value) if kinds else leaf.value}"


def replaced(section, names, value):
    """`section` with the field at a path replaced, by dataclasses.replace alone."""
    if not names:
        return value
    name, *rest = names
    if isinstance(section, tuple):
        items = list(section)
        items[int(name)] = replaced(items[int(name)], rest, value)
        return tuple(items)
    return dataclasses.replace(section, **{name: replaced(getattr(section, name), rest, value)})


def value_leaves(experiment):
    """Leaves that hold a value, not the kind of a section."""
    return [
        leaf
        for leaf in leaves(experiment)
        if "allowed" in leaf.field.metadata and leaf.field.name not in ("kind", "task")
    ]


def result_of(change):
    """What a change returns, or None if it raises a UserError."""
    try:
        return change()
    except UserError:
        return None


@settings(deadline=None)
@given(st.data())
def test_text_override_of_every_leaf_equals_dataclasses_replace(experiments, data):
    target, source = data.draw(experiments), data.draw(experiments)
    values = {leaf.path: leaf.value for leaf in value_leaves(source)}
    for leaf in value_leaves(target):
        path, value = leaf.path, values.get(leaf.path, leaf.value)
        expected = result_of(
            lambda path=path, value=value: replaced(target, path.split("."), value)
        )
        for one in ({path: value}, parse([f"--config.{path}={value}"])):
            assert result_of(lambda one=one: apply(target, one)) == expected


@settings(deadline=None)
@given(st.data())
def test_text_overrides_of_all_leaves_restore_an_experiment(experiments, data):
    experiment = data.draw(experiments)
    arguments = [text_of(leaf) for leaf in leaves(experiment) if leaf.path != "task"]
    arguments = data.draw(st.permutations(arguments))
    assert apply(type(experiment)(), parse(arguments)) == experiment


@settings(deadline=None)
@given(st.floats(1e-9, 1e3), st.integers(1, 10**6), st.lists(st.integers(1, 512), max_size=4))
def test_overrides_are_applied_together(learning_rate, steps, units):
    values = {"optimizer.learning_rate": learning_rate, "train.steps": steps}
    expected = Supervised(
        model=MLP(units=tuple(units)),
        optimizer=Adam(learning_rate=learning_rate),
        train=Train(steps=steps),
    )
    for given_units in (tuple(units), units, str(tuple(units)), ",".join(map(str, units))):
        changed = apply(Supervised(model=MLP()), {**values, "model.units": given_units})
        assert changed == expected


def test_int_is_accepted_for_a_float_field():
    for value in (1, "1"):
        changed = apply(Supervised(), {"optimizer.learning_rate": value})
        assert changed.optimizer.learning_rate == 1.0
        assert isinstance(changed.optimizer.learning_rate, float)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2", (1, 2)),
        ("(1, 2)", (1, 2)),
        ("[1,2]", (1, 2)),
        ("1", (1,)),
        ("(1,)", (1,)),
        ("1,", (1,)),
        ("()", ()),
        ("", ()),
    ],
)
def test_tuple_is_converted_from_text(text, expected):
    assert apply(Supervised(model=MLP()), {"model.units": text}).model.units == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b", ("a", "b")),
        ("('a', 'b, c')", ("a", "b, c")),
        ('"a","b"', ("a", "b")),
        ("1,2", ("1", "2")),
        ("()", ()),
    ],
)
def test_tuple_of_text_is_converted_from_text(text, expected):
    experiment = Supervised(data=CSV(path="x"))
    assert apply(experiment, {"data.ignore": text}).data.ignore == expected


@pytest.mark.parametrize("text", ["true", "True", "t", "1"])
def test_bool_is_converted_from_text(text):
    assert apply(Supervised(), {"model.batch_norm": text}).model.batch_norm is True
    off = Supervised(model=CNN(batch_norm=True))
    negative = {"true": "false", "True": "False", "t": "f", "1": "0"}[text]
    assert apply(off, {"model.batch_norm": negative}).model.batch_norm is False


def test_text_field_keeps_its_text():
    assert apply(Supervised(), {"data.kind": "csv", "data.path": "(1,a=b)"}).data.path == "(1,a=b)"


def test_kind_replaces_the_section_in_any_position():
    changed = apply(Supervised(), parse(["--config.model.units=7,8", "--config.model.kind=mlp"]))
    assert changed.model == MLP(units=(7, 8))


def test_kernels_and_strides_of_all_or_of_each_convolution():
    arguments = ["--config.model.filters=32,64,64", "--config.model.kernel_size=8,4,3"]
    changed = apply(Supervised(), parse([*arguments, "--config.model.strides=2"])).model
    assert changed == CNN(filters=(32, 64, 64), kernel_size=(8, 4, 3), strides=(2,))
    # A search's values may be integers.
    assert apply(Supervised(), {"model.kernel_size": 5}).model == CNN(kernel_size=(5,))


def test_same_kind_keeps_the_section():
    experiment = Supervised(model=CNN(filters=(5,)))
    assert apply(experiment, {"model.kind": "cnn"}) == experiment


def test_another_kind_keeps_no_value():
    optimizer = Adam(learning_rate=0.5, schedule=CosineSchedule(warmup="3"), clip_norm=1.0)
    assert apply(Supervised(optimizer=optimizer), {"optimizer.kind": "sgd"}).optimizer == SGD()


def test_kind_of_a_nested_section_is_replaced():
    experiment = Supervised(optimizer=Adam(schedule=ConstantSchedule(warmup="9")))
    changed = apply(experiment, {"optimizer.schedule.kind": "cosine"})
    assert changed.optimizer == Adam(schedule=CosineSchedule())
    agent = apply(
        ReinforcementLearning(agent=DQN(double=True)),
        {"agent.replay.priority_exponent": "0.5", "agent.replay.kind": "prioritized"},
    ).agent
    assert agent == DQN(double=True, replay=PrioritizedReplay(priority_exponent=0.5))


def test_kind_of_the_outer_section_is_replaced_before_the_nested_one():
    changed = apply(
        Supervised(),
        {
            "optimizer.schedule.warmup": "5 epochs",
            "optimizer.schedule.kind": "cosine",
            "optimizer.kind": "sgd",
        },
    )
    assert changed.optimizer == SGD(schedule=CosineSchedule(warmup="5 epochs"))


def test_variant_with_a_required_field_is_constructed_with_it():
    changed = apply(Supervised(), {"model.kind": "custom", "model.builder": "module:build"})
    assert changed.model == CustomModel(builder="module:build")


def test_fields_that_depend_on_each_other_change_together():
    experiment = ReinforcementLearning(agent=DQN(replay=UniformReplay(capacity=2000)))
    values = {"agent.replay.min_size": 5000, "agent.replay.capacity": 9000}
    assert apply(experiment, values).agent.replay == UniformReplay(capacity=9000, min_size=5000)


@pytest.mark.parametrize("value", ["crop,flip", "(crop, flip)", ("crop", "flip"), ["crop", "flip"]])
def test_kinds_set_a_tuple_of_sections_to_defaults(value):
    experiment = Supervised(augment=(RandomCrop(padding=2),))
    assert apply(experiment, {"augment": value}).augment == (RandomCrop(), RandomFlip())


def test_tuple_of_sections_can_be_empty_or_sections():
    experiment = Supervised(augment=(RandomCrop(padding=2),))
    for value in ("", "()", ()):
        assert apply(experiment, {"augment": value}).augment == ()
    assert apply(experiment, {"augment": (RandomFlip(),)}).augment == (RandomFlip(),)


def test_element_of_a_tuple_is_addressed_by_position():
    experiment = Supervised(augment=(RandomCrop(), RandomFlip()))
    changed = apply(experiment, {"augment.0.padding": "2"})
    assert changed.augment == (RandomCrop(padding=2), RandomFlip())
    changed = apply(experiment, {"augment.0.probability": 0.1, "augment.0.kind": "flip"})
    assert changed.augment == (RandomFlip(probability=0.1), RandomFlip())
    changed = apply(Supervised(), {"augment.1.padding": 3, "augment": "flip,crop"})
    assert changed.augment == (RandomFlip(), RandomCrop(padding=3))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("optimizer.learning_rat=1", "Did you mean 'optimizer.learning_rate'?"),
        ("optimizer.schedule.warmup_steps=1", "Did you mean 'optimizer.schedule.warmup'?"),
        ("optimizer.schedule=cosine", "Did you mean 'optimizer.schedule.kind'?"),
        ("model.kind=mpl", "Did you mean 'mlp'?"),
        ("optimizer.schedule.kind=cosin", "Did you mean 'cosine'?"),
        ("model.activation=rellu", "Did you mean 'relu'?"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate must be > 0. Received: -1.0"),
        ("optimizer.learning_rate=nan", "Received: nan"),
        ("optimizer.learning_rate=inf", "Received: inf"),
        ("optimizer.learning_rate=fast", "of type float, for example 0.001. Received: 'fast'"),
        ("train.steps=1.5", "of type int, for example 0. Received: '1.5'"),
        ("model.batch_norm=maybe", "true or false, for example false. Received: 'maybe'"),
        ("model.filters=0,3", "model.filters must be >= 1. Received: (0, 3)"),
        ("model.filters=()", "model.filters must not be empty"),
        ("model.filters=a", "model.filters must be a tuple of int, for example 32,64. Rec"),
        ("model.filters=1,,2", "model.filters must be a tuple of int"),
        (
            "model.strides=4,2,1",
            "model.strides must have one value, or one for each of the 2 convolutions. "
            "Received: (4, 2, 1)",
        ),
        ("model.kernel_size=()", "model.kernel_size must not be empty"),
        ("model.kernel_size=3,0", "model.kernel_size must be >= 1. Received: (3, 0)"),
        ("model=3", "unknown configuration field. Did you mean 'model."),
        ("modle.kind=cnn", "unknown configuration field. Did you mean 'model.kind'?"),
        ("seed.kind=3", "unknown configuration field"),
        ("model.kind.name=cnn", "unknown configuration field. Did you mean 'model.kind'?"),
        ("kind=rl", "unknown configuration field"),
        ("data.test_fraction=0.95", "data.validation_fraction + test_fraction must be < 1. Rec"),
        ("data.kind=custom", "data.source must not be empty"),
        ("task=rl", "task is set by the configuration file"),
        ("augment=cropp", "unknown kind of augment. Did you mean 'crop'?"),
        ("augment.0.padding=1", "augment.0 does not exist: augment has 0 elements"),
        ("augment.first.padding=1", "augment.first does not exist"),
        ("seed", "must have the form --config.section.field=value. Received: '--config.seed'"),
    ],
)
def test_invalid_override_is_one_line_with_the_remedy(override, expected):
    with pytest.raises(UserError) as caught:
        apply(Supervised(), parse([f"--config.{override}"]))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"train.steps": 32.0}, "train.steps must be of type int. Received: 32.0"),
        ({"train.steps": True}, "train.steps must be of type int. Received: True"),
        ({"model.batch_norm": 1}, "model.batch_norm must be of type bool. Received: 1"),
        ({"model.filters": (1.5,)}, "model.filters must be of type int. Received: (1.5,)"),
        ({"model.filters": 3}, "model.filters must be a tuple of int. Received: 3"),
        ({"model.kind": 3}, "unknown model.kind"),
        ({"augment": 3}, "augment must be a tuple of kinds (crop, flip, cutout, "),
        ({"augment": (3,)}, "unknown kind of augment"),
        ({"augment": "crop", "augment.0": "flip"}, "augment.0 is a section; set augment.0.kind"),
        ({"augment": "crop", "augment.0.pading": 1}, "Did you mean 'augment.0.padding'?"),
        ({"augment": "crop", "augment.0.padding": 0}, "augment.0.padding must be >= 1"),
    ],
)
def test_invalid_python_value_is_rejected(values, expected):
    with pytest.raises(UserError) as caught:
        apply(Supervised(), values)
    assert expected in str(caught.value)


def test_every_kind_can_be_chosen_and_its_leaves_overridden():
    required = {"builder": "module:build", "source": "module:source"}
    for experiment in (Supervised(), ReinforcementLearning()):
        for leaf in leaves(experiment):
            for kind in leaf.kinds if leaf.field.name == "kind" else ():
                section = leaf.path.removesuffix("kind")
                values = {leaf.path: kind}
                if kind == "custom":
                    (name,) = {"model.": ["builder"], "agent.": ["builder"]}.get(
                        section, ["source"]
                    )
                    values[section + name] = required[name]
                changed = apply(experiment, values)
                for one in value_leaves(changed):
                    assert apply(changed, {one.path: str(one.value)}) == changed


def test_last_argument_counts():
    assert parse(["--config.seed=1", "--config.seed=2"]) == {"seed": "2"}
    assert parse(["--config.data.path=a=b"]) == {"data.path": "a=b"}


def test_original_section_is_unchanged():
    experiment = Supervised(augment=(RandomCrop(),))
    before = repr(experiment)
    apply(experiment, {"seed": 1, "augment.0.padding": 2, "model.kind": "mlp"})
    assert repr(experiment) == before


def test_any_section_can_be_changed():
    assert apply(DQN(), {"replay.kind": "prioritized"}) == DQN(replay=PrioritizedReplay())
