"""``python -m hexsched``: the program."""

import sys

from hexsched.console import main

if __name__ == "__main__":
    sys.exit(main())
