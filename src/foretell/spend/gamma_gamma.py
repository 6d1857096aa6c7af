"""The Gamma-Gamma model of what a customer spends on a visit (Fader, Hardie 2013; Colombo, Jiang 1999)."""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import gammaln

from foretell.core import FloatArray
from foretell.core.constraints import Constraint, Instance
from foretell.core.estimator import Estimator
from foretell.data.log import EventLog, training_log
from foretell.data.rows import likely_columns
from foretell.errors import DataError, EmptyLogError

_START: Final = (1.0, 3.0)  # p, q; γ starts where the mean is that of the data
_BOUND: Final = 12.0  # on |log parameter|, with amounts in units of their median


class GammaGammaParams(NamedTuple):
    """Shape of one customer's amounts, shape and scale of the rates that differ from customer to customer."""

    p: float
    q: float
    gamma: float


class GammaGamma(Estimator):
    """Amounts of one customer are gamma(p, ν); the rates ν of customers are gamma(q, γ).

    How much is spent has nothing to do with how often a customer comes: ``correlation_`` says how far that
    holds. First visits are left out, as in the paper; so are amounts of 0 and below, and missing ones.

    Parameters
    ----------
    mark : str
        The log's mark that is an amount.

    Attributes
    ----------
    params_ : GammaGammaParams
    log_likelihood_ : float
    correlation_ : float
        Of customers' repeat visits and the mean of their amounts (Pearson's).

    References
    ----------
    Fader, Hardie (2013): The Gamma-Gamma Model of Monetary Value.

    Examples
    --------
    >>> import foretell as ft
    >>> rows = ft.datasets.load_cdnow(sample=True)
    >>> log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
    >>> model = ft.baselines.GammaGamma().fit(log.until("1997-09-30"))
    >>> model.predict().columns
    ['unique_id', 'n_amounts', 'mean_amount', 'spend_per_visit']
    """

    _constraints: ClassVar[dict[str, Constraint]] = {"mark": Instance(str)}

    def __init__(self, mark: str = "amount") -> None:
        self.mark = mark

    def fit(self, data: EventLog, *, as_of: object = None) -> Self:
        """Fit to the amounts of a log, up to a date of it."""
        self._check_parameters()
        log = training_log(data, as_of)
        counts, means = repeat_amounts(log, self.mark)
        known = counts > 0
        if not known.any():
            raise EmptyLogError(
                f"no customer has come back and paid: {self.mark!r} holds no amount above 0 on a repeat visit"
            )
        self.fit_summary(counts[known], means[known])
        self.log_ = log
        return self

    def fit_summary(self, counts: npt.ArrayLike, means: npt.ArrayLike) -> Self:
        """Fit to how many amounts each customer has, of at least one, and their means."""
        from scipy import optimize  # noqa: PLC0415  # a fit needs it, a forecast does not

        x, m = np.asarray(counts, dtype=np.float64), np.asarray(means, dtype=np.float64)
        unit = float(np.median(m))
        start = np.log([*_START, _START[1] - 1])
        best = optimize.minimize(
            lambda logs: -log_likelihood(np.exp(logs), x, m / unit).mean(),
            start,
            method="L-BFGS-B",
            bounds=[(-_BOUND, _BOUND)] * 3,
            options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 500},
        )
        p, q, gamma = np.exp(best.x).tolist()
        self.params_ = GammaGammaParams(p, q, gamma * unit)
        self.log_likelihood_ = float(log_likelihood(np.array(self.params_), x, m).sum())
        varied = len(x) > 1 and np.ptp(x) > 0 and np.ptp(m) > 0
        self.correlation_ = float(np.corrcoef(x, m)[0, 1]) if varied else 0.0
        return self

    def expected(self, counts: npt.ArrayLike, means: npt.ArrayLike) -> FloatArray:
        """Return the mean amount to expect of customers with so many amounts of such a mean (equation 5)."""
        self._check_fitted("params_")
        p, q, gamma = self.params_
        x, m = np.asarray(counts, dtype=np.float64), np.asarray(means, dtype=np.float64)
        expected: FloatArray = p * (gamma + x * np.where(x > 0, m, 0.0)) / np.maximum(p * x + q - 1.0, 1e-9)
        return expected

    def predict(self, data: EventLog | None = None) -> pl.DataFrame:
        """Return the mean amount to expect of each customer, by default of the log it was fitted to.

        Returns
        -------
        polars.DataFrame
            ``unique_id``; ``n_amounts`` and ``mean_amount`` of the repeat visits (null of none);
            ``spend_per_visit``.
        """
        self._check_fitted("params_")
        if data is None:
            self._check_fitted("log_")
        log = self.log_ if data is None else training_log(data)
        counts, means = repeat_amounts(log, self.mark)
        return pl.DataFrame(
            {
                "unique_id": log.ids,
                "n_amounts": counts,
                "mean_amount": pl.Series(means).fill_nan(None),
                "spend_per_visit": self.expected(counts, means),
            }
        )


def log_likelihood(params: FloatArray, x: FloatArray, m: FloatArray) -> FloatArray:
    """Return each customer's log-likelihood, of x amounts of mean m (Fader, Hardie 2013, equation 1a)."""
    p, q, gamma = params
    likelihood: FloatArray = (
        gammaln(p * x + q) - gammaln(p * x) - gammaln(q)
        + q * np.log(gamma) + (p * x - 1) * np.log(m) + p * x * np.log(x)
        - (p * x + q) * np.log(gamma + m * x)
    )  # fmt: skip
    return likelihood


def mark_of(log: EventLog, mark: str) -> FloatArray:
    """Return the values of a mark, shape (n_events,)."""
    if mark not in log.mark_names:
        known = f"it has {', '.join(log.mark_names)}" if log.mark_names else "it has none"
        raise DataError(
            f"the log has no mark {mark!r}, {known}; read it with read_events(…, marks=[{mark!r}]), in the "
            f"shell with --mark {mark}"
        )
    values: FloatArray = log.marks[:, log.mark_names.index(mark)]
    return values


def worth_of(log: EventLog) -> str | None:
    """Return the mark that says what visits are worth; None where there is none.

    The one that is called an amount, or else looks like one by its name, or the first.

    Examples
    --------
    >>> import foretell as ft
    >>> rows = ft.datasets.load_cdnow(sample=True)
    >>> worth_of(ft.read_events(rows, id="customer_id", time="date", marks=["quantity", "amount"]))
    'amount'
    """
    marks = log.mark_names
    if not marks:
        return None
    chosen = "amount" if "amount" in marks else likely_columns(marks).get("mark", marks[0])
    return chosen if (mark_of(log, chosen) > 0).any() else None


def repeat_amounts(log: EventLog, mark: str) -> tuple[FloatArray, FloatArray]:
    """Return how many amounts above 0 each customer has on repeat visits, and their mean (NaN of none)."""
    values = mark_of(log, mark)
    repeat = np.ones(len(values), dtype=bool)
    repeat[log.offsets[:-1]] = False
    paid = repeat & (values > 0)
    counts = np.bincount(log.owner[paid], minlength=log.n_customers)
    sums = np.bincount(log.owner[paid], values[paid], log.n_customers)
    with np.errstate(invalid="ignore"):
        return counts.astype(np.float64), sums / counts
