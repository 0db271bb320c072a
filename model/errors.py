"""The errors of the package, in words for the person who runs it.

The tree (``UserError`` is ``corpus.errors.UserError``)::

    UserError
    └── ModelError
        ├── ConfigError        a setting is out of range, or settings contradict each other
        ├── CheckpointError    a checkpoint cannot be read, or does not fit
        ├── RunFolderError     the folder of a run cannot be made, locked or written
        ├── RankLost           another process of a shared training has ended
        ├── SystemRefusal      the system gives no more memory, threads or open files
        ├── TorchUnusable      an import of torch would end this process
        ├── ChildEnded         a child process of this program ended before its work was done
        └── TrainingDiverged   loss or gradients stayed non-finite
"""

from __future__ import annotations

from corpus.errors import UserError


class ModelError(UserError):
    """Base class of all errors that this package raises for users."""


class ConfigError(ModelError):
    """A setting is out of its range, or two settings contradict each other."""


class CheckpointError(ModelError):
    """A checkpoint is missing or damaged, is no checkpoint, or does not fit the request."""


class RunFolderError(ModelError):
    """The file system refuses to make, lock or write the folder of a run."""


class RankLost(ModelError):  # noqa: N818 - it states a fact, as the events do
    """Another process of a training with several processes has ended or never joined."""


class SystemRefusal(ModelError):  # noqa: N818 - it states a fact, as the events do
    """The system refuses memory, threads or open files."""


class TorchUnusable(ModelError):  # noqa: N818 - it states a fact, as the events do
    """An import of torch would end this process, as the end of a child process has shown."""


class ChildEnded(ModelError):  # noqa: N818 - it states a fact, as the events do
    """A child process of this program ended before its work was done."""

    def __init__(self, name: str, how: str) -> None:
        super().__init__(name, how, "try it again")


class TrainingDiverged(ModelError):  # noqa: N818 - it states a fact, as the events do
    """Loss or gradients stayed non-finite after all rollbacks of the guard."""
