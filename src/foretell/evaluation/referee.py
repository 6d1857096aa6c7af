"""The referee: whether the network is better than the best simple rule, by how much, and how surely."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.i18n import Translator

_RESAMPLES, _GROUPS, _SEED = 1_000, 1_000, 20_240
# With fewer customers or series, parts of their time are resampled instead.
FEW = 10

# How the rules are called in a sentence.
_SPOKEN = {
    "mean gap": "the customers' own mean gap",
    "median gap": "the customers' own median gap",
    "repeat rate": "the customers' own rate so far",
    "naive": "the last value",
    "seasonal naive": "the value one season before",
    "drift": "the line through the first and the last value",
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What to use, in one sentence, and the figures behind it.

    Attributes
    ----------
    sentence : str
    use : str or None
        The model to use; None where there is nothing to compare.
    rival : str or None
        The best of the rules and statistics.
    gain_pct, low_pct, high_pct : float or None
        By how many per cent the network's loss is below the rival's, and the 95 % interval of that.
    command : str or None
        What follows it in the shell, where the rival is to be used.
    """

    sentence: str
    use: str | None = None
    rival: str | None = None
    gain_pct: float | None = None
    low_pct: float | None = None
    high_pct: float | None = None
    command: str | None = None

    def __str__(self) -> str:
        return self.sentence if self.command is None else f"{self.sentence}: {self.command}"

    def in_words(self, say: Translator) -> str:
        """Return the sentence in another language."""
        if self.use is None or self.rival is None:
            return say(self.sentence)
        rule = say(_SPOKEN[self.rival]) if self.rival in _SPOKEN else self.rival
        if self.gain_pct is None:
            return say("{rule} makes no error at all: use that", rule=rule)
        return self._compared(rule, self.gain_pct, say)

    def _compared(self, rule: str, gain: float, say: Translator) -> str:
        low, high = self.low_pct, self.high_pct
        if low is None or high is None:
            much = {"gain": abs(gain), "rule": rule}
            if gain > 0:
                return say(
                    "the network is {gain:.0f} % better than {rule}, on too few to say how sure that is: use "
                    "{rule}",
                    **much,
                )
            return say(
                "the network is {gain:.0f} % worse than {rule}, on too few to say how sure that is: use "
                "{rule}",
                **much,
            )
        if low > 0:
            return say(
                "the network is {gain:.0f} % better than {rule} (95 % interval {low:.0f} to {high:.0f} %): "
                "use it",
                gain=gain, rule=rule, low=low, high=high,
            )  # fmt: skip
        if high < 0:
            return say(
                "the network is {gain:.0f} % worse than {rule} (95 % interval {low:.0f} to {high:.0f} %): "
                "use that",
                gain=-gain, rule=rule, low=-high, high=-low,
            )  # fmt: skip
        return say(
            "the network is no better than {rule} (95 % interval {low:.0f} % worse to {high:.0f} % better): "
            "use that",
            rule=rule, low=-low, high=high,
        )  # fmt: skip


def judge(losses: Mapping[str, npt.ArrayLike], ours: Collection[str], *, root: bool) -> Verdict:
    """Compare the network with the best of the others on the same customers or series.

    The interval is a percentile bootstrap: customers (series) are drawn with replacement, each with all its
    folds and with both models' losses, so that what is hard for both does not blur the difference.

    Parameters
    ----------
    losses : mapping of model to array, shape (n_units,)
        Mean loss of each customer or series; NaN where it has none.
    ours : collection of str
        The models that are networks.
    root : bool
        Compare the roots of the mean losses (RMSE of squared errors) instead of their means.

    References
    ----------
    Efron, Tibshirani (1993), "An introduction to the bootstrap", chapter 13.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> hard = rng.gamma(2.0, 1.0, 500)
    >>> print(judge({"foretell": 0.9 * hard, "mean gap": hard}, ["foretell"], root=False))
    the network is 10 % better than the customers' own mean gap (95 % interval 10 to 10 %): use it
    >>> noise = rng.normal(1.0, 0.5, 500)
    >>> print(judge({"foretell": hard * noise, "mean gap": hard}, ["foretell"], root=False).use)
    mean gap
    """
    known = {name: np.asarray(loss, dtype=np.float64) for name, loss in losses.items()}
    scored = [name for name, loss in known.items() if not np.isnan(loss).all()]
    networks, rules = ([n for n in scored if (n in ours) is which] for which in (True, False))
    if not networks or not rules:
        return Verdict("nothing to compare: it takes the network and at least one rule or statistic")
    table = np.stack([known[name] for name in scored], axis=1)
    table = table[~np.isnan(table).any(axis=1)]
    if not len(table):
        return Verdict("nothing to compare: no customer or series was forecast by all models")
    totals = dict(zip(scored, table.mean(axis=0), strict=True))
    own, rival = min(networks, key=totals.__getitem__), min(rules, key=totals.__getitem__)
    pair = table[:, [scored.index(own), scored.index(rival)]]
    gain = _gain(pair.mean(axis=0), root=root)
    interval = _interval(pair, root=root)
    return _sentence(own, rival, float(gain), interval)


def _gain(means: FloatArray, *, root: bool) -> FloatArray:
    """Return 100 (1 − own / rival), the last axis being the two."""
    means = np.sqrt(means) if root else means
    rival = np.where(means[..., 1] > 0, means[..., 1], np.nan)
    gain: FloatArray = 100.0 * (1.0 - means[..., 0] / rival)
    return gain


def _interval(pair: FloatArray, *, root: bool) -> tuple[float, float] | None:
    """Return the 95 % interval of the gain; None with fewer units than can tell."""
    if len(pair) < 5:
        return None
    rng = np.random.default_rng(_SEED)
    if len(pair) > _GROUPS:
        # Sums of random groups vary as sums of single units do: fewer numbers to draw.
        group = rng.permutation(len(pair)) % _GROUPS
        pair = np.stack([np.bincount(group, weights=column, minlength=_GROUPS) for column in pair.T], axis=1)
    drawn = rng.multinomial(len(pair), np.full(len(pair), 1.0 / len(pair)), size=_RESAMPLES)
    gains = _gain(drawn @ pair / len(pair), root=root)
    low, high = np.nanpercentile(gains, [2.5, 97.5]) if np.isfinite(gains).any() else (np.nan, np.nan)
    return (float(low), float(high)) if np.isfinite(low) else None


def _sentence(own: str, rival: str, gain: float, interval: tuple[float, float] | None) -> Verdict:
    low, high = interval or (None, None)
    figures = (rival, round(gain, 2), low, high) if np.isfinite(gain) else (rival,)
    verdict = Verdict("", own if low is not None and low > 0 else rival, *figures)
    return dataclasses.replace(verdict, sentence=verdict.in_words(Translator()))
