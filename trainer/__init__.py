"""One configuration file, one command: train Keras networks and TF-Agents agents."""

__version__ = "0.1.0"
