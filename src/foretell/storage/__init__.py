"""Model directories: how a fitted forecaster's state is written and read back."""
