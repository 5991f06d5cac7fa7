"""`python -m trainer COMMAND`, and the console script `trainer`."""

import sys

from trainer.cli.main import run


def main() -> None:
    """Runs the command line and exits with its status."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
