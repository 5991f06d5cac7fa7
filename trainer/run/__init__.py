"""The work directory of a run: its configuration, records, checkpoints and result."""
