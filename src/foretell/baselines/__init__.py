"""The statistics to beat: buy-till-you-die models and rules of thumb."""

from foretell.baselines.automatic import AutoARIMA, AutoETS, AutoTheta
from foretell.baselines.bgnbd import BGNBD, MBGNBD, BGNBDParams
from foretell.baselines.heuristics import GapParams, MeanGap, MedianGap, RepeatRate
from foretell.baselines.pareto_nbd import ParetoNBD, ParetoNBDParams
from foretell.baselines.rules import Drift, Naive, SeasonalNaive

__all__ = [
    "BGNBD",
    "MBGNBD",
    "AutoARIMA",
    "AutoETS",
    "AutoTheta",
    "BGNBDParams",
    "Drift",
    "GapParams",
    "MeanGap",
    "MedianGap",
    "Naive",
    "ParetoNBD",
    "ParetoNBDParams",
    "RepeatRate",
    "SeasonalNaive",
]
