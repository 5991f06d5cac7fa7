"""Self-contained HTML pages with charts. Imports no TensorFlow."""
