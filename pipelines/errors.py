"""The errors that a person is meant to read.

Belongs here: the exception types whose message is one clear sentence, fit for a terminal and for a log.
Does not belong here: programming errors, which keep their traceback.
"""


class CatalogueError(Exception):
    """Something outside the program is wrong, and the message says what and what to do. Exit code 1."""


class SourceError(CatalogueError):
    """A source could not be read: the network, its answer, an archive on disk."""


class UsageError(CatalogueError):
    """What was asked for makes no sense as asked. Exit code 2."""
