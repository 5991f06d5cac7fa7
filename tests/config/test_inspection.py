from trainer.config import DQN, MLP, RandomCrop, RandomFlip, ReinforcementLearning, Supervised
from trainer.config.inspection import differences, leaves
from trainer.config.models import CustomModel


def test_leaves_have_paths_values_and_kinds():
    by_path = {leaf.path: leaf for leaf in leaves(ReinforcementLearning(agent=DQN(n_step=5)))}
    assert by_path["seed"].value == 0
    assert by_path["agent.n_step"].value == 5
    assert by_path["agent.exploration.epsilon_final"].value == 0.05
    assert by_path["agent.replay.kind"].kinds == ("uniform", "prioritized")
    assert by_path["agent.n_step"].kinds == by_path["task"].kinds == ()
    assert "agent.replay" not in by_path


def test_leaves_of_a_tuple_are_its_kinds_and_the_fields_of_each_element():
    experiment = Supervised(augment=(RandomCrop(padding=2), RandomFlip()))
    by_path = {leaf.path: leaf.value for leaf in leaves(experiment)}
    assert by_path["augment"] == ("crop", "flip")
    assert by_path["augment.0.padding"] == 2
    assert by_path["augment.1.kind"] == "flip"
    (empty,) = [leaf for leaf in leaves(Supervised()) if leaf.path.startswith("augment")]
    assert empty.value == ()
    assert empty.kinds[:3] == ("crop", "flip", "cutout")


def test_leaves_of_a_class_are_its_defaults():
    assert [leaf.path for leaf in leaves(CustomModel, "model.")] == [
        "model.weights", "model.kind", "model.builder",
    ]  # fmt: skip
    assert list(leaves(MLP)) == list(leaves(MLP()))


def test_differences_show_the_path_and_both_values():
    old, new = Supervised(), Supervised(seed=3, model=MLP(), augment=(RandomCrop(),))
    found = differences(old, new)
    assert "seed: 0 → 3" in found
    assert "model.kind: cnn → mlp" in found
    assert "model.pool: 2 → -" in found
    assert "augment.0.padding: - → 4" in found
    assert differences(new, new) == []
