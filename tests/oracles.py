"""Slow distributions in double precision that several tests compare with."""

from __future__ import annotations

import numpy as np
from scipy import stats

from foretell.nn.backend import keras


class LogLogistic:
    """A gap whose logarithm is logistic: scipy's own (``fisk``) loses its upper tail to rounding."""

    def __init__(self, mu, log_sigma):
        self.log_gap = stats.logistic(mu, np.exp(log_sigma))

    @staticmethod
    def _log(gap):
        return np.log(np.maximum(gap, 1e-300))

    def sf(self, gap):
        return self.log_gap.sf(self._log(gap))

    def logsf(self, gap):
        return self.log_gap.logsf(self._log(gap))

    def cdf(self, gap):
        return self.log_gap.cdf(self._log(gap))

    def pdf(self, gap):
        return self.log_gap.pdf(self._log(gap)) / gap

    def ppf(self, level):
        return np.exp(self.log_gap.ppf(level))

    def isf(self, level):
        return np.exp(self.log_gap.isf(level))


class Level:
    """A learner of one weight, by a loss of which everything is known."""

    def __init__(self, loss):
        self.variables = [keras.Variable(np.zeros(1, dtype=np.float32), name="level")]
        self.loss = loss
