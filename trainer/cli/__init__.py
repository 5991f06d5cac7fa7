"""The command line: flags, commands, and errors as one line. Imports TensorFlow last."""
