"""Agents, one module per `agent.kind`."""
