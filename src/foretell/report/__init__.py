"""Comparisons as pages."""
