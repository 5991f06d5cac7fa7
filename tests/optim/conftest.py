"""The update rules of the papers in NumPy, float64, one array at a time."""

import numpy as np
import pytest


def is_kernel(weight):
    return weight.ndim >= 2


def adam_direction(config, gradients):
    """The direction of Adam at each update (Kingma and Ba, 2015, algorithm 1)."""
    m = v = 0
    for t, g in enumerate(gradients, 1):
        m = config.beta_1 * m + (1 - config.beta_1) * g
        v = config.beta_2 * v + (1 - config.beta_2) * g**2
        m_hat, v_hat = m / (1 - config.beta_1**t), v / (1 - config.beta_2**t)
        yield m_hat / (np.sqrt(v_hat) + config.epsilon)


def adam(config, weight, gradients, rate):
    decay = getattr(config, "weight_decay", 0) * is_kernel(weight)
    for direction in adam_direction(config, gradients):
        weight = weight - rate * (direction + decay * weight)
    return weight


def lamb(config, weight, gradients, rate):
    """You et al. (2020), algorithm 2."""
    for direction in adam_direction(config, gradients):
        if is_kernel(weight):
            direction = direction + config.weight_decay * weight
            direction = direction * np.linalg.norm(weight) / np.linalg.norm(direction)
        weight = weight - rate * direction
    return weight


def sgd(config, weight, gradients, rate):
    """Sutskever et al. (2013), in the form in which the weights are where gradients are taken."""
    velocity = 0
    for g in gradients:
        if is_kernel(weight):
            g = g + config.weight_decay * weight
        velocity = config.momentum * velocity - rate * g
        weight = weight + (config.momentum * velocity - rate * g if config.nesterov else velocity)
    return weight


def rmsprop(config, weight, gradients, rate):
    square = momentum = 0
    for g in gradients:
        if is_kernel(weight):
            g = g + config.weight_decay * weight
        square = config.rho * square + (1 - config.rho) * g**2
        momentum = config.momentum * momentum + rate * g / np.sqrt(square + config.epsilon)
        weight = weight - momentum
    return weight


def lion(config, weight, gradients, rate):
    """Chen et al. (2023), algorithm 2."""
    m = 0
    for g in gradients:
        update = np.sign(config.beta_1 * m + (1 - config.beta_1) * g)
        m = config.beta_2 * m + (1 - config.beta_2) * g
        weight = weight - rate * (update + config.weight_decay * is_kernel(weight) * weight)
    return weight


def newton_schulz(matrix, steps):
    """The iteration on a matrix with one row per output, by its singular values."""
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s = s / np.sqrt((s**2).sum())
    for _ in range(steps):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ v


def muon(config, weight, gradients, rate):
    """Muon of a kernel that is not the head."""
    buffer = 0
    outputs = weight.shape[-1]
    for g in gradients:
        buffer = config.momentum * buffer + g
        g = g + config.momentum * buffer if config.nesterov else buffer
        # Rows are outputs: [..., outputs] -> [outputs, inputs].
        matrix = g.reshape(-1, outputs).T
        update = newton_schulz(matrix, config.newton_schulz_steps).T.reshape(weight.shape)
        if config.scale_by_shape:
            update = update * np.sqrt(max(1, outputs / matrix.shape[1]))
        weight = weight * (1 - rate * config.weight_decay)
        if config.normalize_weights:
            weight = weight * np.sqrt(outputs) / np.linalg.norm(weight)
        weight = weight - rate * update
    return weight


def sgd_of_muon(config, weight, gradients, rate, decay):
    """SGD with Nesterov momentum and an L2 term, for what Muon does not update."""
    velocity = 0
    for g in gradients:
        g = g + decay * weight
        velocity = config.sgd_momentum * velocity - rate * g
        weight = weight + config.sgd_momentum * velocity - rate * g
    return weight


RULES = {
    "adam": adam,
    "adamw": adam,
    "sgd": sgd,
    "rmsprop": rmsprop,
    "lamb": lamb,
    "lion": lion,
}


def expected_weights(config, weights, gradients, factor=1.0):
    """The weights after updates at a constant learning rate.

    Args:
      config: an optimizer section.
      weights: arrays in the order of the model; the last kernel is the head.
      gradients: for each update, one array per weight.
      factor: of the learning rate.
    """
    weights = [np.float64(each) for each in weights]
    per_weight = [np.float64(each) for each in zip(*gradients, strict=True)]
    if config.kind != "muon":
        rule = RULES[config.kind]
        return [
            rule(config, w, g, config.learning_rate * factor)
            for w, g in zip(weights, per_weight, strict=True)
        ]
    head = max(number for number, each in enumerate(weights) if is_kernel(each))
    results = []
    for number, (weight, own) in enumerate(zip(weights, per_weight, strict=True)):
        if number == head:
            rate, decay = config.head_learning_rate * factor, config.head_weight_decay
            results.append(sgd_of_muon(config, weight, own, rate, decay))
        elif is_kernel(weight):
            results.append(muon(config, weight, own, config.learning_rate * factor))
        else:
            rate, decay = config.bias_learning_rate * factor, config.bias_weight_decay
            results.append(sgd_of_muon(config, weight, own, rate, decay))
    return results


@pytest.fixture(scope="session")
def expected():
    """A function: the weights after some updates."""
    return expected_weights
