"""How every command reads its options."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose errors are one line, as all errors of `cse` are; `--help` has the rest."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave with exit code 2.

        >>> Parser(prog="cse extract").error("unrecognized arguments: --loud")
        Traceback (most recent call last):
        SystemExit: 2
        """
        self.exit(2, f"{self.prog}: {message}; {self.prog} --help says what there is\n")
