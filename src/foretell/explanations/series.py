"""What moved the forecast of one series away from its anchor."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from foretell.core import FloatArray
from foretell.data.panel import Panel
from foretell.explanations.explanation import Explanation, listed, ranked
from foretell.nn.attribution import integrated_gradients
from foretell.series.encoding import CovariateCode
from foretell.series.fitting import SeriesModel
from foretell.series.network import QUANTILES, SeriesNetwork
from foretell.series.rollout import tails
from foretell.series.windows import Flat, Windows, gather

if TYPE_CHECKING:
    from foretell.series.forecaster import SeriesForecaster

Array = Any
Part = tuple[str, str, float]

_MIDDLE = QUANTILES.index(0.5)
# Share of the forecast below which a part is not worth a sentence.
_LEAST = 0.005


def explain_series(model: SeriesForecaster, id: Any, target: str | None = None) -> Explanation:  # noqa: A002
    """Explain the mean of the next steps' medians; see `foretell.explain`."""
    panel, fitted = model.panel_.select([id]), model.model_
    k = panel.target_index(target)
    shape = fitted.network.shape
    flat, windows = tails(fitted, panel, shape.steps, 1)
    found, common, final, anchor = _attribute(
        fitted.network, k, fitted.stacked, flat, windows, jnp.float32(fitted.calibration.trust)
    )
    pieces = _pieces(
        {name: np.asarray(part, dtype=np.float64) for name, part in found.items()}, fitted, panel
    )
    shared = (
        "all series alike",
        "a window at its mean",
        float(common - anchor),
    )
    parts = (shared, *pieces)
    words = _words(panel, k, shape.season, shape.steps, float(anchor), float(final), parts)
    steps = f"the next {shape.steps} steps" if shape.steps > 1 else "the next step"
    return Explanation(id, f"mean {panel.targets[k]} of {steps}", float(anchor), float(final), parts, words)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _attribute(
    network: SeriesNetwork, k: int, members: list[Array], flat: Flat, windows: Windows, trust: Array
) -> tuple[dict[str, Array], Array, Array, Array]:
    """Return the contributions of the inputs; the forecast at their means, at themselves, at the anchor."""
    shape = network.shape
    batch = gather(flat, windows, shape.lookback, shape.steps)
    given, loc, scale, anchor = network.inputs(batch)
    moved = {name: part for name, part in given.items() if name not in {"mask", "anchor"}}

    def in_units(values: Array) -> Array:
        values = values * scale + loc
        return jnp.mean((jnp.expm1(values) if shape.log else values)[0, :, k])

    def forecast(moved: dict[str, Array]) -> Array:
        inputs = {name: moved.get(name, part) for name, part in given.items()}
        found = jax.vmap(lambda weights: network.output(weights, inputs))(members)
        median = jnp.mean(jnp.sort(found, axis=-1)[..., _MIDDLE], axis=0)
        return in_units(anchor + trust * (median - anchor))

    both = jax.tree.map(lambda part: jnp.stack([jnp.zeros_like(part), part]), moved)
    common, final = jax.vmap(forecast)(both)
    return integrated_gradients(forecast, moved), common, final, in_units(anchor)


def _pieces(found: dict[str, FloatArray], fitted: SeriesModel, panel: Panel) -> list[Part]:
    """Return the contributions by what a reader knows, with their values in words."""
    shape, reading = fitted.network.shape, fitted.reading
    by_step = found["values"].sum(axis=(0, 2))
    patch = shape.patch
    pieces: list[Part] = []
    for name, part, begin, end in (
        (_steps("the last", patch), by_step[-patch:], -patch, None),
        (_steps("the", patch) + " before", by_step[-2 * patch : -patch], -2 * patch, -patch),
        ("earlier", by_step[: -2 * patch], -shape.lookback, -2 * patch),
    ):
        seen = panel.values[begin:end] if len(panel.values) >= patch else panel.values
        value = f"{np.nanmean(seen):,.4g} on average" if np.isfinite(seen).any() else "none"
        if len(part):
            pieces.append((name, value, float(part.sum())))
    n_calendar = len(panel.grid.calendar_names)
    known = [found[name] for name in ("so_far", "ahead") if name in found]
    if known and n_calendar:
        times = panel.time_of(panel.ends + 1)[0]
        total = sum(float(part[..., :n_calendar].sum()) for part in known)
        pieces.append(("calendar", f"from {times} on", total))
    for name, columns in _columns(reading.future).items():
        total = sum(float(part[..., n_calendar:][..., columns].sum()) for part in known)
        pieces.append((name, "so far and ahead", total))
    for kind, code in (("past", reading.past), ("static", reading.static)):
        for name, columns in _columns(code).items():
            total = float(found[kind][..., columns].sum())
            pieces.append((name, "so far" if kind == "past" else "of the series", total))
    if shape.own:
        own = float(found["static"][..., reading.static.width :].sum())
        pieces.append(("which target", "", own))
    return pieces


def _columns(code: CovariateCode) -> dict[str, slice]:
    """Return where each covariate's columns are."""
    found, at = {}, 0
    for name in code.names:
        width = len(code.categories[name]) if name in code.categories else 1
        found[name] = slice(at, at + width)
        at += width
    return found


def _words(
    panel: Panel, k: int, season: int, steps: int, anchor: float, forecast: float, parts: tuple[Part, ...]
) -> tuple[str, ...]:
    name = panel.targets[k]
    ahead = _steps("the next", steps)
    words = [f"{ahead[0].upper()}{ahead[1:]}: {name} of {forecast:,.4g} on average."]
    rule = f"the same places of the last season of {season} steps" if season > 1 else "the last value"
    if anchor:
        change = forecast / anchor - 1.0
        way = "more" if change > 0 else "less"
        words.append(f"That is {abs(change):.0%} {way} than {rule} ({anchor:,.4g}).")
    else:
        words.append(f"By {rule} it would be {anchor:,.4g}.")
    history = panel.values[:, k]
    recent, before = history[-steps:], history[-2 * steps : -steps]
    if np.isfinite(recent).any() and np.isfinite(before).any() and np.nanmean(before) > 0:
        ratio = np.nanmean(recent) / np.nanmean(before)
        words.append(f"{_steps('The last', steps)} had {ratio:.1f} times as much as the {steps} before them.")
    for direction, sign in (("raise", 1), ("lower", -1)):
        moved = [part for part in ranked(parts, _LEAST * abs(forecast)) if part[2] * sign > 0][:3]
        if moved:
            shown = [f"{what} by {abs(by):,.3g}" for what, _, by in moved]
            words.append(f"What {direction}s it: {listed(shown)}.")
    return tuple(words)


def _steps(before: str, count: int) -> str:
    return f"{before} step" if count == 1 else f"{before} {count:,} steps"
