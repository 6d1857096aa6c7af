"""Metrics, significance, blending: pure numpy."""
