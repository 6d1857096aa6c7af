"""What held-out windows say of quantiles and of the anchor."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from foretell.series.calibration import Calibration, clusters_of, reach_of_rule
from foretell.series.quantiles import QUANTILES
from foretell.series.windows import Windows

RNG = np.random.default_rng(2)


def normal(widths: np.ndarray, n: int, middle: float = 0.0) -> np.ndarray:
    """Return normal quantiles of n windows, shape (n, steps, 1, n_quantiles)."""
    one = middle + widths[:, None] * ndtri(np.asarray(QUANTILES))
    return np.broadcast_to(one[None, :, None], (n, len(widths), 1, len(QUANTILES)))


class TestCalibration:
    def test_each_step_is_widened_by_what_it_lacks(self) -> None:
        deviations = np.array([0.5, 1.0, 3.0])
        truth = deviations[:, None] * RNG.standard_normal((4000, 3, 1))
        said = normal(np.ones(3), 4000)
        fitted = Calibration.fit(truth, said, np.zeros((4000, 3, 1)))
        held = fitted.apply(said, np.zeros((4000, 3, 1)))
        for k, level in enumerate(QUANTILES):
            below = (truth < held[..., k]).mean(axis=0)
            np.testing.assert_allclose(below, level, atol=0.03)

    def test_few_windows_are_taken_together(self) -> None:
        truth = 2 * RNG.standard_normal((40, 6, 1))
        fitted = Calibration.fit(truth, normal(np.ones(6), 40), np.zeros((40, 6, 1)))
        assert (fitted.factors == fitted.factors[:1]).all()
        assert fitted.factors[0, 0] > 1.3

    def test_without_a_held_out_value_the_rule_answers_as_wide_as_it_has_erred(self) -> None:
        rule = reach_of_rule(RNG.standard_normal((4000, 2, 1)), season=1)
        truth = np.ones((2, 2, 1))
        truth[:, 1] = np.nan
        alone = np.arange(2)[:, None]
        fitted = Calibration.fit(truth, normal(np.ones(2), 2), np.zeros((2, 2, 1)), (alone, alone), rule)
        assert fitted.trust == 0
        held = fitted.apply(normal(np.ones(2), 1, middle=3.0), np.zeros((1, 2, 1)))
        np.testing.assert_allclose(held[0, 1, 0], ndtri(QUANTILES), atol=0.1)

    def test_what_no_factor_reaches_is_added(self) -> None:
        truth = RNG.standard_normal((4000, 1, 1))
        said = normal(np.array([0.01]), 4000)
        held = Calibration.fit(truth, said, np.zeros((4000, 1, 1))).apply(said, np.zeros((4000, 1, 1)))
        assert (truth < held[..., 0]).mean() == pytest.approx(0.025, abs=0.01)
        # What is said to be uncertain for once does not become a hundred times as uncertain.
        wide = Calibration.fit(truth, said, np.zeros((4000, 1, 1))).apply(100 * said, np.zeros((4000, 1, 1)))
        assert np.abs(wide).max() < 6

    @pytest.mark.parametrize(("power", "season"), [(0.5, 1), (0.0, 1), (1.0, 4)])
    def test_the_rules_errors_grow_as_they_have_grown_also_where_few_were_seen(
        self, power: float, season: int
    ) -> None:
        growth = (np.arange(12) // season + 1.0) ** power
        errors = RNG.standard_normal((150, 12, 1)) * growth[:, None]
        errors[:, 9:] = np.nan
        reach = reach_of_rule(errors, season)
        np.testing.assert_allclose(reach[:, -1], 1.96 * growth, rtol=0.15)
        np.testing.assert_allclose(reach, -reach[:, ::-1])

    @pytest.mark.parametrize(("middle", "trust"), [(1.0, 1.0), (2.0, 0.5), (-1.0, 0.0)])
    def test_the_median_goes_as_far_from_the_anchor_as_it_helps(self, middle: float, trust: float) -> None:
        truth = 1 + 0.1 * RNG.standard_normal((500, 2, 1))
        fitted = Calibration.fit(truth, normal(np.ones(2), 500, middle), np.zeros((500, 2, 1)))
        assert fitted.trust == pytest.approx(trust)

    def test_a_correction_that_fails_badly_now_and_then_is_not_trusted(self) -> None:
        # It errs less in nine windows of ten, and ten times as much in the tenth.
        truth = np.ones((1000, 1, 1))
        said = np.array(normal(np.ones(1), 1000, 1.0))
        said[::10] = np.array(normal(np.ones(1), 100, -6.0))
        assert Calibration.fit(truth, said, np.zeros((1000, 1, 1))).trust < 0.5

    @pytest.mark.parametrize("way", ["series", "periods"])
    def test_a_gain_that_hangs_on_few_series_or_periods_is_not_trusted(self, way: str) -> None:
        # All windows of a cluster say the same: in four of six the network errs a little less, in two as much
        # more. Taken one by one the windows would be sure.
        of = np.repeat(np.arange(6), 100)
        truth = np.repeat([1.0, 1.0, 1.0, 1.0, -1.0, -1.0], 100)[:, None, None]
        truth = truth + 0.01 * RNG.standard_normal((600, 1, 1))
        said, anchor = normal(np.ones(1), 600, 0.2), np.zeros((600, 1, 1))
        alone = np.arange(600)[:, None]
        clusters = [of[:, None], alone] if way == "series" else [alone, of[:, None]]
        assert Calibration.fit(truth, said, anchor, [alone]).trust == 1
        assert Calibration.fit(truth, said, anchor, clusters).trust == 0
        assert Calibration.fit(np.abs(truth), said, anchor, clusters).trust == 1

    def test_windows_cluster_by_series_and_target_and_by_the_period_that_they_begin_in(self) -> None:
        ends = np.array([90, 95, 100, 190, 200])
        starts, stops = np.array([0, 0, 0, 110, 110]), np.array([110, 110, 110, 210, 210])
        windows = Windows(ends, starts, stops, np.array([0, 0, 0, 1, 1]))
        series, period = clusters_of(windows, 10, 2)
        assert series.tolist() == [[0, 1], [0, 1], [0, 1], [2, 3], [2, 3]]
        assert period.tolist() == [[2, 2], [1, 1], [1, 1], [2, 2], [1, 1]]

    def test_what_was_not_observed_does_not_count(self) -> None:
        truth = RNG.standard_normal((1000, 2, 1))
        holes = truth.copy()
        holes[::2] = np.nan
        said, anchor = normal(np.ones(2), 1000), np.zeros((1000, 2, 1))
        some = Calibration.fit(holes, said, anchor)
        same = Calibration.fit(truth[1::2], said[1::2], anchor[1::2])
        np.testing.assert_allclose(some.factors, same.factors)
