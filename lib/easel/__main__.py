"""`python -m easel` is `easel`."""

import sys

from easel.cli import main

sys.exit(main())
