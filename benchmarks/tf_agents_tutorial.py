"""The side of TF-Agents' DQN tutorial: its loop, with one update an environment step."""

import os
import warnings

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.simplefilter("ignore")

import tensorflow as tf  # noqa: E402
import tf_keras as keras  # noqa: E402
from contender import serve, timed  # noqa: E402
from tf_agents.agents.dqn import dqn_agent  # noqa: E402
from tf_agents.drivers import dynamic_step_driver  # noqa: E402
from tf_agents.environments import suite_gym, tf_py_environment  # noqa: E402
from tf_agents.networks import q_network  # noqa: E402
from tf_agents.replay_buffers import tf_uniform_replay_buffer  # noqa: E402
from tf_agents.utils import common  # noqa: E402

_BATCH_SIZE = 64
_CAPACITY = 100_000
_WARMUP = 1_000


def main() -> None:
    """Serves: one step of one environment, one update, in turn."""
    environment = tf_py_environment.TFPyEnvironment(suite_gym.load("CartPole-v1"))
    agent = dqn_agent.DqnAgent(
        environment.time_step_spec(),
        environment.action_spec(),
        q_network=q_network.QNetwork(
            environment.observation_spec(), environment.action_spec(), fc_layer_params=(100,)
        ),
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        td_errors_loss_fn=common.element_wise_squared_loss,
        train_step_counter=tf.Variable(0, dtype=tf.int64),
    )
    agent.initialize()
    replay = tf_uniform_replay_buffer.TFUniformReplayBuffer(
        agent.collect_data_spec, batch_size=1, max_length=_CAPACITY
    )

    def driver(steps: int) -> dynamic_step_driver.DynamicStepDriver:
        return dynamic_step_driver.DynamicStepDriver(
            environment, agent.collect_policy, observers=[replay.add_batch], num_steps=steps
        )

    driver(_WARMUP).run()
    collect = common.function(driver(1).run)
    train = common.function(agent.train)
    dataset = replay.as_dataset(
        num_parallel_calls=3, sample_batch_size=_BATCH_SIZE, num_steps=2
    ).prefetch(3)
    batches = iter(dataset)

    def advance(steps: int) -> None:
        for _ in range(steps):
            collect()
            experience, _ = next(batches)
            train(experience)

    serve(timed(advance))


if __name__ == "__main__":
    main()
