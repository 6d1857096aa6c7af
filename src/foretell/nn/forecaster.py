"""What the forecasters with networks share: saving them and showing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from foretell.storage.forecaster import SavedForecaster


class NetworkForecaster(SavedForecaster):
    """What the forecasters with networks share: saving them and showing them."""

    is_ours: ClassVar[bool] = True

    model_: Any

    def save_keras(self, path: str | Path, *, data: bool = True) -> Path:
        """Write the model to a directory, its networks as Keras keeps them, too.

        ``architecture.json`` describes the network, ``member0.weights.h5`` … hold the weights of each member
        of the ensemble. `foretell.load` reads the directory like any other and does not need them;
        `foretell.forecasters.load_keras` returns the members as Keras models.

        Parameters
        ----------
        path : str or Path
        data : bool
            With the data that it was fitted to, see `save`.
        """
        from foretell.nn.keras_files import write_members  # noqa: PLC0415  # Keras' files are seldom wanted

        self._check_fitted("model_")
        network, members = self.model_.network, self.model_.members
        return self._save(
            path,
            data=data,
            export=lambda place: write_members(network.whole, network.variables, members, place),
        )

    def summary(self) -> str:
        """Return Keras' summary of the network: its layers, their shapes, their parameters."""
        self._check_fitted("model_")
        lines: list[str] = []
        self.model_.network.whole.summary(print_fn=lines.append)
        return "\n".join(lines)
