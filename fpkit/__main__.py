"""`python -m fpkit`: the same as the command `fpkit`."""
import sys

from .cli import main

sys.exit(main())
