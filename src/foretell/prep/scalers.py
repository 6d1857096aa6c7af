"""Scales for networks to work on, learned on training values and undone on forecasts.

All have the form scaled = (value − location) / scale; what differs is how the two are learned.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.errors import NotFittedError, ParameterError

Statistics = tuple[FloatArray, FloatArray]


def min_max(values: FloatArray, axis: int = 0) -> Statistics:
    """Return the least value and the range."""
    low = np.nanmin(values, axis=axis, keepdims=True)
    return low, np.nanmax(values, axis=axis, keepdims=True) - low


def mean_deviation(values: FloatArray, axis: int = 0) -> Statistics:
    """Return mean and standard deviation."""
    return np.nanmean(values, axis=axis, keepdims=True), np.nanstd(values, axis=axis, keepdims=True)


def median_range(values: FloatArray, axis: int = 0) -> Statistics:
    """Return the median and the distance between the quartiles."""
    first, middle, third = np.nanquantile(values, [0.25, 0.5, 0.75], axis=axis, keepdims=True)
    return middle, third - first


class Scaler(ABC):
    """What the scalers share.

    Parameters
    ----------
    axis : int
        Along which the statistics are taken: 0 for a series (n,) or for the rows of a table
        (n, n_variables), each column with its own; 1 for windows (n, length), each with its own.

    Attributes
    ----------
    location_, scale_ : array
        Learned by ``fit``, with length 1 along ``axis``.
    """

    location_: FloatArray
    scale_: FloatArray

    def __init__(self, axis: int = 0) -> None:
        self.axis = axis

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'axis={self.axis}' if self.axis else ''})"

    @staticmethod
    @abstractmethod
    def _statistics(values: FloatArray, axis: int) -> Statistics:
        """Return location and scale, with length 1 along the axis."""

    def fit(self, values: npt.ArrayLike) -> Self:
        """Learn from training values; NaN is left out.

        Parameters
        ----------
        values : array-like
        """
        array = np.asarray(values, dtype=np.float64)
        if not 0 <= self.axis < array.ndim or not array.size:
            raise ParameterError(
                f"values is of shape {array.shape}; expected at least one value along axis {self.axis}"
            )
        if np.isnan(array).all(axis=self.axis).any():
            raise ParameterError(
                f"values of shape {array.shape} holds nothing but NaN somewhere along axis {self.axis}: "
                "nothing can be learned there; leave that column out"
            )
        self.location_, scale = self._statistics(array, self.axis)
        # Constant values are all at the location, but for rounding; any scale brings them back.
        least = np.maximum(1e-12 * np.abs(self.location_), np.finfo(np.float64).tiny)
        self.scale_ = np.where(np.abs(scale) <= least, 1.0, scale)
        return self

    def transform(self, values: npt.ArrayLike) -> FloatArray:
        """Return values on the learned scale.

        Parameters
        ----------
        values : array-like
            New values may lie outside of the range of the training ones; then they leave the range of the
            scale too, as they should.
        """
        array, location, scale = self._beside(values)
        scaled: FloatArray = (array - location) / scale
        return scaled

    def fit_transform(self, values: npt.ArrayLike) -> FloatArray:
        """Learn from values and return them on the scale."""
        return self.fit(values).transform(values)

    def inverse_transform(self, values: npt.ArrayLike) -> FloatArray:
        """Return scaled values, such as forecasts, on the original scale."""
        array, location, scale = self._beside(values)
        original: FloatArray = array * scale + location
        return original

    def _beside(self, values: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return values, location and scale in shapes that go together."""
        if not hasattr(self, "location_"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(training_values) first"
            )
        array = np.asarray(values, dtype=np.float64)
        if self.location_.size == 1:
            return array, self.location_.reshape(()), self.scale_.reshape(())
        learned = self.location_.shape
        others = [k for k in range(len(learned)) if k != self.axis]
        if array.ndim != len(learned) or any(array.shape[k] != learned[k] for k in others):
            wanted = ", ".join("any" if k == self.axis else str(learned[k]) for k in range(len(learned)))
            raise ParameterError(
                f"values is of shape {array.shape}; expected ({wanted}), as the scaler was fitted with"
            )
        return array, self.location_, self.scale_


class MinMaxScaler(Scaler):
    """Brings the training values to the range from 0 to 1.

    Examples
    --------
    >>> import foretell as ft
    >>> scaler = ft.prep.MinMaxScaler().fit([0, 44, 18, 0, 54])
    >>> scaler.transform([27, 108])
    array([0.5, 2. ])
    >>> scaler.inverse_transform([0.5, 2.0])
    array([ 27., 108.])
    """

    _statistics = staticmethod(min_max)


class StandardScaler(Scaler):
    """Brings the training values to mean 0 and standard deviation 1.

    Examples
    --------
    >>> import foretell as ft
    >>> ft.prep.StandardScaler().fit([1, 3]).transform([2, 4])
    array([0., 2.])
    """

    _statistics = staticmethod(mean_deviation)


class RobustScaler(Scaler):
    """Brings the training values to median 0, with 1 between their quartiles: outliers hardly move it.

    Examples
    --------
    >>> import foretell as ft
    >>> ft.prep.RobustScaler().fit([1, 2, 3, 4, 1000]).transform([3, 5])
    array([0., 1.])
    """

    _statistics = staticmethod(median_range)


class RelativeScaler(Scaler):
    """Tells values as their change relative to the first one, p / p₀ − 1.

    With ``axis=1`` each window has its own first value, so that the network sees changes, whatever the level.

    Examples
    --------
    >>> import foretell as ft
    >>> windows = [[100, 110, 120], [50, 45, 40]]
    >>> scaler = ft.prep.RelativeScaler(axis=1).fit(windows)
    >>> scaler.transform(windows)
    array([[ 0. ,  0.1,  0.2],
           [ 0. , -0.1, -0.2]])
    >>> scaler.inverse_transform([[0.3], [-0.3]])  # a forecast for each window
    array([[130.],
           [ 35.]])
    """

    @staticmethod
    def _statistics(values: FloatArray, axis: int) -> Statistics:
        place = np.argmax(~np.isnan(values), axis=axis, keepdims=True)
        first = np.take_along_axis(values, place, axis=axis)
        if (first == 0.0).any():
            raise ParameterError(
                f"{int((first == 0.0).sum())} first value is 0: changes relative to it are not defined; take "
                "another scaler, or start where values are not 0"
            )
        return first, first
