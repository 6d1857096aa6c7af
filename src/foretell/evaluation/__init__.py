"""Models side by side: backtests, figures, verdict, calibration, search."""

from foretell.evaluation.calibration import (
    ConformalRecalibration,
    IsotonicRecalibration,
    PITRecalibration,
    coverage_by_level,
    pit_histogram,
    recalibration_on_last_fold,
    reliability_over_folds,
)
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.referee import Verdict, judge

__all__ = [
    "ConformalRecalibration",
    "Evaluation",
    "IsotonicRecalibration",
    "PITRecalibration",
    "Verdict",
    "coverage_by_level",
    "judge",
    "pit_histogram",
    "recalibration_on_last_fold",
    "reliability_over_folds",
]
