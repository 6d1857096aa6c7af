"""Models side by side: backtests, figures, verdict, calibration, search."""

from foretell.evaluation.evaluation import Evaluation

__all__ = ["Evaluation"]
