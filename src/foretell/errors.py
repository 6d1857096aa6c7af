"""Everything that foretell raises on purpose.

::

    ForetellError
    ├── DataError (ValueError)        what was read cannot be used: names the column, the rows and the mend
    │   ├── ColumnError               a column that was asked for is not there, or is of the wrong kind
    │   ├── EmptyLogError             nothing is left to learn from
    │   └── SourceError               a file or database that cannot be read as what it claims to be
    ├── ParameterError (ValueError)   an argument or setting outside of what is allowed
    ├── NotFittedError (AttributeError)   asked for an answer before ``fit``, or without data
    ├── BackendError (RuntimeError)   Keras is loaded on a backend that the engine cannot use
    ├── StorageError (OSError)        a model or a table that cannot be written or read
    ├── WorkerError (RuntimeError)    a machine or process of a cluster is lost again and again
    └── MissingDependencyError (ImportError)   an optional package is needed for this

and all that it warns of::

    ForetellWarning (UserWarning)
    ├── CalendarWarning               dates are those of months, or years apart from all others
    ├── CovariateWarning              covariates of the steps ahead are not given
    ├── OutlierWarning                a value or a customer is far from all others
    ├── LeakageWarning                what a model is tested on was seen in training
    └── SmallDataWarning              there is too little for the network to learn from
"""

from __future__ import annotations


class ForetellError(Exception):
    """Root of all errors raised by foretell."""


class DataError(ForetellError, ValueError):
    """The data cannot be used as they are."""


class ColumnError(DataError):
    """A column is missing or of the wrong kind."""


class EmptyLogError(DataError):
    """No usable rows are left."""


class SourceError(DataError):
    """A file or a database cannot be read."""


class ParameterError(ForetellError, ValueError):
    """An argument is outside of what is allowed."""


class NotFittedError(ForetellError, AttributeError):
    """The estimator has to be fitted first."""


class BackendError(ForetellError, RuntimeError):
    """Keras runs on a backend that the engine cannot use."""


class StorageError(ForetellError, OSError):
    """A model directory cannot be written or read, or a table cannot be written."""


class WorkerError(ForetellError, RuntimeError):
    """Workers of a cluster are lost again and again."""


class MissingDependencyError(ForetellError, ImportError):
    """An optional dependency is not installed."""


class ForetellWarning(UserWarning):
    """Root of all warnings of foretell."""


class CalendarWarning(ForetellWarning):
    """Dates are coarser than the clock, or lie years apart from all others."""


class CovariateWarning(ForetellWarning):
    """Covariates that are known ahead are not given for the steps that are forecast."""


class OutlierWarning(ForetellWarning):
    """A value is a thousand times as large as all others, or one customer has a third of all rows."""


class LeakageWarning(ForetellWarning):
    """Values that a model is tested on were seen in training."""


class SmallDataWarning(ForetellWarning):
    """There is too little for the network to learn from; simple models answer instead."""
