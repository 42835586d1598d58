"""The command line: what the commands are called, and what they end with.

What a command does is in `lamplighter.commands`, imported when it is called.
"""

from lamplighter.cli.main import app, run

__all__ = ["app", "run"]
