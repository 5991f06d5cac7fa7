"""A strategy that generates experiments."""

import pytest
from hypothesis import strategies as st

from trainer.config import (
    CNN,
    CSV,
    DQN,
    IDX,
    LAMB,
    MLP,
    SGD,
    TFDS,
    Adam,
    AdamW,
    ConstantSchedule,
    CosineSchedule,
    Cutout,
    Digits,
    EpsilonGreedy,
    Evaluate,
    ExponentialSchedule,
    ImageFolder,
    Linear,
    LinearSchedule,
    Lion,
    Muon,
    OneCycleSchedule,
    PolynomialSchedule,
    PrioritizedReplay,
    QLinear,
    RandAugment,
    RandomCrop,
    RandomFlip,
    ReinforcementLearning,
    RMSprop,
    StepSchedule,
    Supervised,
    UniformReplay,
)

fractions = st.floats(0, 0.99)
units = st.lists(st.integers(1, 999), max_size=4).map(tuple)
models = st.one_of(
    st.just(Linear()),
    st.builds(MLP, units=units, dropout=fractions),
    st.builds(CNN, filters=units.filter(bool), batch_norm=st.booleans()),
)
durations = st.one_of(
    st.integers(0, 9999).map(str),
    st.floats(0, 99, allow_subnormal=False).map(lambda amount: f"{amount:.3f} epochs"),
    st.integers(0, 100).map(lambda amount: f"{amount} %"),
)
schedules = st.one_of(
    *(
        st.builds(kind, warmup=durations)
        for kind in (
            *(ConstantSchedule, LinearSchedule, CosineSchedule),
            *(PolynomialSchedule, ExponentialSchedule),
        )
    ),
    st.builds(StepSchedule, boundaries=st.lists(durations, min_size=1, max_size=3).map(tuple)),
    st.builds(OneCycleSchedule, peak=durations, start_factor=fractions),
)
optimizers = st.one_of(
    st.builds(Adam, learning_rate=st.floats(1e-9, 1e3), schedule=schedules),
    st.builds(AdamW, weight_decay=fractions, schedule=schedules),
    st.builds(SGD, momentum=st.floats(0.1, 0.9), nesterov=st.booleans()),
    st.builds(RMSprop, schedule=schedules),
    st.builds(LAMB, weight_decay=fractions),
    st.builds(Lion, beta_1=st.floats(0.1, 0.9)),
    st.builds(Muon, first_bias_duration=durations, schedule=schedules),
)
augmentations = st.lists(
    st.one_of(
        st.builds(RandomCrop, padding=st.integers(1, 9)),
        st.builds(RandomFlip, probability=fractions),
        st.builds(Cutout, fill=st.integers(0, 255)),
        st.builds(RandAugment, operations=st.sampled_from([("rotate",), ("invert", "color")])),
    ),
    max_size=3,
).map(tuple)
words = st.text("abcdefgh_", min_size=1)
sources = st.one_of(
    st.just(Digits()),
    st.builds(TFDS, name=words, image_size=st.sampled_from([(), (3, 4)])),
    st.builds(ImageFolder, path=words),
    st.builds(IDX, path=words, class_names=st.sampled_from([(), ("no", "yes")])),
    st.builds(CSV, path=words, ignore=st.lists(words, max_size=3).map(tuple)),
)
replays = st.one_of(
    st.builds(UniformReplay, capacity=st.integers(1000, 9999)),
    st.builds(PrioritizedReplay, priority_exponent=fractions),
)
explorations = st.builds(EpsilonGreedy, epsilon_initial=fractions)
dqn = st.builds(DQN, double=st.booleans(), exploration=explorations, replay=replays)
q_linear = st.builds(QLinear, exploration=explorations, replay=replays)
supervised = st.builds(
    Supervised,
    seed=st.integers(0, 2**31),
    data=sources,
    augment=augmentations,
    model=models,
    optimizer=optimizers,
    evaluate=st.builds(Evaluate, metrics=st.lists(words, max_size=3).map(tuple)),
)
reinforcement_learning = st.one_of(
    st.builds(ReinforcementLearning, model=models, agent=dqn, optimizer=optimizers),
    # It has no optimizer to set.
    st.builds(ReinforcementLearning, model=models, agent=q_linear),
)


@pytest.fixture(scope="session")
def experiments():
    """A hypothesis strategy; draw from it with `data.draw(experiments)`."""
    return st.one_of(supervised, reinforcement_learning)
