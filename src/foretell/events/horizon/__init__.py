"""Counts of visits in any horizon, answered directly, and what simulated shops have taught of them."""
