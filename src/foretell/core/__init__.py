"""What everything speaks: contracts, estimators, ragged data, time."""
