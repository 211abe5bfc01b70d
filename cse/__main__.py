"""`python -m cse` is `cse`."""

from __future__ import annotations

import sys

from cse.cli import main

sys.exit(main())
