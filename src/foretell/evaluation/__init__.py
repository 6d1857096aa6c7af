"""Metrics, cut-date evaluation, the leaderboard, calibration."""
