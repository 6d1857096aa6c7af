"""The tutorial's kit: gaps, windows, bins, splits, scalers, outliers."""
