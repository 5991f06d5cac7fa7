"""Sole import points for TensorFlow with tf_keras, TF-Agents and KerasTuner."""
