"""What next: windows, the series network, calibration, SeriesForecaster."""
