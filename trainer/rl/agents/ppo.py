"""`ppo`: proximal policy optimization (Schulman et al., 2017)."""

from trainer.compat.keras import tf
from trainer.config.agents import PPO
from trainer.config.rl import ReinforcementLearning
from trainer.rl.agents import policy_gradient
from trainer.rl.agents.actor_critic import ActorCriticAgent, Rollout
from trainer.rl.agents.base import AgentLoss
from trainer.rl.agents.running_moments import standardize
from trainer.rl.experience.advantages import generalized_advantages
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import EnvironmentSpec


class PPOAgent(ActorCriticAgent):
    """Several epochs of minibatches of each rollout, with a clipped objective."""

    figures = ("policy_loss", "value_loss", "entropy", "approximate_kl", "clip_fraction")

    def __init__(self, config: ReinforcementLearning, spec: EnvironmentSpec):
        """See the base class."""
        super().__init__(config, spec)
        assert isinstance(config.agent, PPO)
        self._ppo = config.agent
        self.epochs = config.agent.epochs
        self.target_kl = config.agent.target_kl

    def rollout(self, steps: Steps) -> tuple[Rollout, tf.Tensor]:
        """See the base class."""
        log_pi_a, v_tm1, v_t = self.old_policy(steps)
        advantage = generalized_advantages(
            steps.reward, steps.discount, steps.ended, v_tm1, v_t, self._ppo.gae_lambda
        )
        return_ = advantage + v_tm1
        weights = tf.ones_like(advantage)
        if self._ppo.normalize_advantages:
            advantage = standardize(advantage, weights)
        rollout = Rollout(steps.observation, steps.extras, log_pi_a, v_tm1, advantage, return_)
        return rollout, weights

    def loss(self, batch: Rollout, seed: tf.Tensor) -> AgentLoss:
        """−L^CLIP + c_1 L^VF − c_2 S[π] (Schulman et al., 2017, equation 9, as a loss)."""
        del seed
        ppo = self._ppo
        distribution = self.distribution(batch.observation)
        log_pi_a, entropy = distribution.log_prob(batch.latent), distribution.entropy()
        policy_loss = policy_gradient.clipped_surrogate_loss(
            log_pi_a, batch.log_pi_old_a, batch.advantage, ppo.clip_range
        )
        value_loss = policy_gradient.value_loss(
            self.scaled_value(batch.observation), batch.v_old, batch.return_, ppo.value_clip_range
        )
        loss = policy_loss + ppo.value_weight * value_loss - ppo.entropy_weight * entropy
        ratio = tf.exp(log_pi_a - batch.log_pi_old_a)
        figures = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "approximate_kl": policy_gradient.approximate_kl(log_pi_a, batch.log_pi_old_a),
            "clip_fraction": tf.cast(tf.abs(ratio - 1.0) > ppo.clip_range, tf.float32),
        }
        return AgentLoss(loss, loss, figures)


build = PPOAgent
