"""Why a forecast is what it is, and what does not fit the forecasts."""
