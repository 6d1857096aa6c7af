"""The statistics to beat: buy-till-you-die models and rules of thumb."""

from foretell.baselines.bgnbd import BGNBD, MBGNBD, BGNBDParams
from foretell.baselines.heuristics import GapParams, MeanGap, MedianGap, RepeatRate
from foretell.baselines.pareto_nbd import ParetoNBD, ParetoNBDParams

__all__ = [
    "BGNBD",
    "MBGNBD",
    "BGNBDParams",
    "GapParams",
    "MeanGap",
    "MedianGap",
    "ParetoNBD",
    "ParetoNBDParams",
    "RepeatRate",
]
