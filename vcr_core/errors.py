"""What can go wrong, as a tree of exceptions that a person can act on.

    VcrLabError
    ├── ConfigError        a field of a configuration (also a ValueError)
    ├── FeatureError       a tensor that cannot be regularised or measured (also a ValueError)
    ├── FeaturesOverwrittenError  features that were changed in place (also a RuntimeError)
    ├── PenaltyNotAddedError  a training step whose loss was missing the penalty
    ├── LayerNotMeasuredError  a training step that went past a regularised layer
    ├── LayerNotFoundError a layer name or pattern that matches nothing (also a LookupError)
    ├── DataError          a data set that is missing, empty or broken
    ├── TrainingDivergedError  a loss that is no longer finite
    ├── CheckpointError    a checkpoint that is missing, damaged or of something else
    ├── StoreError         the store file: not ours, read-only, of a newer version
    ├── LimitError         more than an owner may have on this server
    ├── ClusterError       a cluster that cannot be reached
    ├── UnknownRunError    a run id that the store does not hold (also a LookupError)
    ├── UnknownStudyError  a study id that the store does not hold (also a LookupError)
    ├── RunOverError       something asked of a run that is over
    ├── RunBusyError       a run that a worker has, where that is in the way
    ├── RunTakenError      a worker whose run another worker has taken over

    ├── StudyChangedError  a study of that name is in the store and differs
    ├── StudyBusyError     another process carries the study out
    ├── ResultFileError    a study's result file that is damaged or of another version
    └── PortInUseError     the address of the app is taken

Every message says what was expected, what came and what to do. The command line prints it on one
line and ends with exit code 2; the page shows it beside the field that ``field`` names.
"""

from __future__ import annotations


class VcrLabError(Exception):
    """Base of every error that VCR Lab raises on purpose."""


class ConfigError(VcrLabError, ValueError):
    """A field of a configuration has a value that cannot be used.

    ``field`` is the dotted name, for example ``regularizer.variance_weight``, or ``""`` where the
    whole is at fault.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class FeatureError(VcrLabError, ValueError):
    """Features whose shape, type or values the computation cannot take."""


class FeaturesOverwrittenError(VcrLabError, RuntimeError):
    """Features that an in-place operation changed after they had been seen."""


class PenaltyNotAddedError(VcrLabError):
    """A training step whose loss was missing the penalty."""


class LayerNotMeasuredError(VcrLabError):
    """A training step in which a layer that should be regularised was not measured."""


class LayerNotFoundError(VcrLabError, LookupError):
    """A layer name, pattern or keyword that matches no module of the model."""


class DataError(VcrLabError):
    """A data set that is not there, is empty or cannot be decoded.

    ``field`` names the setting that led there, where one did.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class TrainingDivergedError(VcrLabError):
    """The loss of a run is no longer finite."""


class CheckpointError(VcrLabError):
    """A checkpoint that cannot be written, or is missing, damaged or of another run or network."""


class StoreError(VcrLabError):
    """A store that cannot be opened or written."""


class LimitError(VcrLabError):
    """More than an owner may have on this server."""


class ClusterError(VcrLabError):
    """A cluster that cannot be reached or cannot run a worker."""


class UnknownRunError(VcrLabError, LookupError):
    """A run id that the store does not hold."""


class UnknownStudyError(VcrLabError, LookupError):
    """A study id that the store does not hold."""


class RunBusyError(VcrLabError):
    """A worker has the run, and that is in the way of what was asked."""


class RunOverError(VcrLabError):
    """A run is over, and nothing can be asked of it any more."""


class RunTakenError(VcrLabError):
    """Another worker has taken the run over: this one may not write to it any more."""


class StudyChangedError(VcrLabError):
    """A study of that name is in the store, and differs from what was asked."""


class StudyBusyError(VcrLabError):
    """Another process is carrying the study out."""


class ResultFileError(VcrLabError):
    """A study's result file that is half written, or of another study or version."""


class PortInUseError(VcrLabError):
    """Another program listens on the port that the app was asked to use."""
