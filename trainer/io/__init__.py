"""Files and paths, metric records, memory limits and redaction of secrets."""
