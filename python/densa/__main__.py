"""`python -m densa` is the command `densa`."""

import sys

from densa.cli import main

sys.exit(main())
