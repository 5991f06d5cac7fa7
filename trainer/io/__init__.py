"""Paths, atomic writes, memory limits and redaction."""
