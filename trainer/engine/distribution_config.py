"""What the placement flags may say; known without TensorFlow, so that a wrong one fails at once."""

from trainer.errors import unknown_name

STRATEGIES = ("auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
JIT = ("auto", "on", "off")


def check_names(strategy: str, precision: str, jit: str) -> None:
    """Refuses values that none of the three flags has.

    Raises:
      UserError: naming the nearest.
    """
    for name, value, known in (
        ("strategy", strategy, STRATEGIES),
        ("precision", precision, PRECISIONS),
        ("jit", jit, JIT),
    ):
        if value not in known:
            raise unknown_name(f"value of --{name}", value, known)
