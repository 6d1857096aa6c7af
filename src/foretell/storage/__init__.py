"""Model directories: how a fitted forecaster is written and read back."""

from foretell.storage.directory import load, load_keras, save

__all__ = ["load", "load_keras", "save"]
