"""The statistics and rules of both questions: forecasters like ours, which fit in a moment.

`EVENT_BASELINES` and `SERIES_BASELINES` hold their classes by name, in tables' and in the shell's spelling:
``"pareto/nbd"`` and ``"pareto-nbd"``.
"""

from foretell.baselines.bgnbd import BGNBD, MBGNBD, BGNBDParams
from foretell.baselines.pareto_nbd import ParetoNBD, ParetoNBDParams
from foretell.baselines.rules import (
    AutoARIMA,
    AutoETS,
    AutoTheta,
    Drift,
    GapParams,
    MeanGap,
    MedianGap,
    Naive,
    RepeatRate,
    SeasonalNaive,
)
from foretell.baselines.statistic import EventStatistic, SeriesStatistic
from foretell.spend.gamma_gamma import GammaGamma, GammaGammaParams

__all__ = [
    "BGNBD",
    "EVENT_BASELINES",
    "MBGNBD",
    "SERIES_BASELINES",
    "AutoARIMA",
    "AutoETS",
    "AutoTheta",
    "BGNBDParams",
    "Drift",
    "GammaGamma",
    "GammaGammaParams",
    "GapParams",
    "MeanGap",
    "MedianGap",
    "Naive",
    "ParetoNBD",
    "ParetoNBDParams",
    "RepeatRate",
    "SeasonalNaive",
]

EVENT_BASELINES: dict[str, type[EventStatistic]] = {
    name: model
    for model in (ParetoNBD, BGNBD, MBGNBD, RepeatRate, MeanGap, MedianGap)
    for name in (model.name.lower(), model.shell_name)
}
SERIES_BASELINES: dict[str, type[SeriesStatistic]] = {
    name: model
    for model in (Naive, SeasonalNaive, Drift, AutoETS, AutoARIMA, AutoTheta)
    for name in (model.name.lower(), model.shell_name)
}
