"""When next: the clock, the gap model, simulation, classical baselines, EventForecaster."""
