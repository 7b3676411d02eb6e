"""`python -m fpkit`: the same as the command `fpkit`."""
import sys

from .cli import main

if __name__ == "__main__":                     # not in the processes that some commands start
    sys.exit(main())
