"""Checks the installation, the hardware and the environment; reports problems with remedies."""
