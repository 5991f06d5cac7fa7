"""`reinforce`: the policy gradient (Williams, 1992), with returns to go and a learned baseline.

∇J(θ) = E[Σ_t ∇ log π(a_t|s_t) (G_t − V(s_t))], G_t = r_{t+1} + γ r_{t+2} + … (Sutton and Barto,
2018, section 13.4). As usual the factor γ^t of each step is left out.
"""

from trainer.compat.keras import tf
from trainer.config.agents import Reinforce
from trainer.config.rl import ReinforcementLearning
from trainer.rl.agents import policy_gradient
from trainer.rl.agents.actor_critic import ActorCriticAgent, Rollout
from trainer.rl.agents.base import AgentLoss
from trainer.rl.agents.running_moments import standardize
from trainer.rl.experience.advantages import generalized_advantages, has_known_return
from trainer.rl.experience.steps import Steps
from trainer.rl.specs import EnvironmentSpec


class ReinforceAgent(ActorCriticAgent):
    """One update with all steps of each rollout.

    Where the rollout or a time limit cuts an episode off, the baseline stands for the rest of the
    return. Without a baseline a time limit ends the return, and steps of episodes that the rollout
    does not complete are left out.
    """

    figures = ("policy_loss", "value_loss", "entropy")

    def __init__(self, config: ReinforcementLearning, spec: EnvironmentSpec):
        """See the base class."""
        assert isinstance(config.agent, Reinforce)
        super().__init__(config, spec, has_values=config.agent.baseline)
        self._reinforce = config.agent

    def rollout(self, steps: Steps) -> tuple[Rollout, tf.Tensor]:
        """See the base class."""
        log_pi_a, v_tm1, v_t = self.old_policy(steps)
        weights = tf.ones_like(v_tm1)
        if not self._reinforce.baseline:
            weights = tf.cast(has_known_return(steps.ended), tf.float32)
        # With λ = 1 this is the return to go minus the baseline.
        advantage = generalized_advantages(
            steps.reward, steps.discount, steps.ended, v_tm1, v_t, gae_lambda=1.0
        )
        return_ = advantage + v_tm1
        if self._reinforce.normalize_advantages:
            advantage = standardize(advantage, weights)
        rollout = Rollout(steps.observation, steps.extras, log_pi_a, v_tm1, advantage, return_)
        return rollout, weights

    def loss(self, batch: Rollout, seed: tf.Tensor) -> AgentLoss:
        """The policy gradient's loss, the baseline's, and the entropy bonus."""
        del seed
        section = self._reinforce
        distribution = self.distribution(batch.observation)
        entropy = distribution.entropy()
        policy_loss = policy_gradient.policy_gradient_loss(
            distribution.log_prob(batch.latent), batch.advantage
        )
        value_loss = tf.zeros_like(policy_loss)
        if section.baseline:
            value_loss = policy_gradient.value_loss(
                self.scaled_value(batch.observation), batch.v_old, batch.return_, clip_range=0.0
            )
        loss = policy_loss + section.value_weight * value_loss - section.entropy_weight * entropy
        figures = {"policy_loss": policy_loss, "value_loss": value_loss, "entropy": entropy}
        return AgentLoss(loss, loss, figures)


build = ReinforceAgent
