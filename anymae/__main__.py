"""``python -m anymae``."""

import sys

from anymae.cli import main

if __name__ == "__main__":
    sys.exit(main())
