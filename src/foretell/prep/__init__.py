"""The tutorial's kit: from time stamps to gaps, windows, classes, splits and scales, and back."""

from foretell.prep.bins import Bins, from_one_hot, one_hot
from foretell.prep.scalers import MinMaxScaler, RelativeScaler, RobustScaler, Scaler, StandardScaler
from foretell.prep.windows import (
    Split,
    Windowed,
    WithoutOutliers,
    day_gaps,
    make_windows,
    remove_outliers,
    split_by_time,
    split_random,
)

__all__ = [
    "Bins",
    "MinMaxScaler",
    "RelativeScaler",
    "RobustScaler",
    "Scaler",
    "Split",
    "StandardScaler",
    "Windowed",
    "WithoutOutliers",
    "day_gaps",
    "from_one_hot",
    "make_windows",
    "one_hot",
    "remove_outliers",
    "split_by_time",
    "split_random",
]
