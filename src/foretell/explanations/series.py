"""What moved a series' forecast away from its anchor, and which values lie outside of their interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax import Array

from foretell.core import FloatArray
from foretell.data.panel import Panel
from foretell.errors import DataError
from foretell.explanations.explanation import Explanation, Part, integrated_gradients, what_moves_it
from foretell.i18n import Translator
from foretell.nn.backend import jitted
from foretell.series.architecture import Shape
from foretell.series.covariates import CovariateCode
from foretell.series.fitting import SeriesModel
from foretell.series.network import SeriesNetwork
from foretell.series.quantiles import QUANTILES
from foretell.series.rollout import tails
from foretell.series.windows import Flat, Windows, gather

if TYPE_CHECKING:
    from foretell.series.forecaster import SeriesForecaster


_MIDDLE = QUANTILES.index(0.5)
# Share of the forecast below which a part is not worth a sentence.
_LEAST = 0.005


def explain_series(
    model: SeriesForecaster, key: object, *, horizon: str | int, target: str | None, say: Translator
) -> Explanation:
    """Explain the mean of the next steps' medians; see `foretell.explain`."""
    del horizon  # of visits
    panel, fitted = model.panel_.select([key]), model.model_
    k = panel.target_index(target)
    shape = fitted.network.shape
    units = fitted.reading.units(panel)
    flat, windows = tails(fitted, panel, units, shape.steps, 1)
    series = (jnp.float32(units.loc[0, k]), jnp.float32(units.scale[0, k]))
    contributions, common, final, anchor = _attribute(
        fitted.network, k, fitted.stacked, flat, windows, jnp.float32(fitted.calibration.trust), series
    )
    pieces = {name: np.asarray(part, dtype=np.float64) for name, part in contributions.items()}
    shared = (say("all series alike"), say("a window at its mean"), float(common - anchor))
    parts = (shared, *_pieces(pieces, fitted, panel, say))
    words = _words(panel, k, shape, (float(anchor), float(final)), parts, say)
    steps = say("the next {count} steps", count=shape.steps) if shape.steps > 1 else say("the next step")
    quantity = say("mean {target} of {steps}", target=panel.targets[k], steps=steps)
    return Explanation(key, quantity, float(anchor), float(final), parts, words)


@jitted(0, 1)
def _attribute(
    network: SeriesNetwork,
    k: int,
    members: list[Array],
    flat: Flat,
    windows: Windows,
    trust: Array,
    units: tuple[Array, Array],
) -> tuple[dict[str, Array], Array, Array, Array]:
    """Return the contributions of the inputs; the forecast at their means, at themselves, at the anchor."""
    shape = network.shape
    batch = gather(flat, windows, shape.lookback, shape.steps)
    given, loc, scale, anchor = network.inputs(batch)
    moved = {name: part for name, part in given.items() if name not in {"mask", "anchor"}}

    def in_units(values: Array) -> Array:
        values = (values * scale + loc) * units[1] + units[0]
        return jnp.mean((jnp.expm1(values) if shape.log else values)[0, :, k])

    def forecast(moved: dict[str, Array]) -> Array:
        inputs = {name: moved.get(name, part) for name, part in given.items()}
        quantiles = jax.vmap(lambda weights: network.output(weights, inputs))(members)
        median = jnp.mean(jnp.sort(quantiles, axis=-1)[..., _MIDDLE], axis=0)
        return in_units(anchor + trust * (median - anchor))

    both = jax.tree.map(lambda part: jnp.stack([jnp.zeros_like(part), part]), moved)
    common, final = jax.vmap(forecast)(both)
    return integrated_gradients(forecast, moved), common, final, in_units(anchor)


def _pieces(
    contributions: dict[str, FloatArray], fitted: SeriesModel, panel: Panel, say: Translator
) -> list[Part]:
    """Return the contributions by what a reader knows, with their values in words."""
    shape, reading = fitted.network.shape, fitted.reading
    by_step = contributions["values"].sum(axis=(0, 2))
    patch = shape.patch
    pieces: list[Part] = []
    one = patch == 1
    latest = say("the last step") if one else say("the last {count:,} steps", count=patch)
    before = say("the step before") if one else say("the {count:,} steps before", count=patch)
    for name, part, begin, end in (
        (latest, by_step[-patch:], -patch, None),
        (before, by_step[-2 * patch : -patch], -2 * patch, -patch),
        (say("earlier"), by_step[: -2 * patch], -shape.lookback, -2 * patch),
    ):
        seen = panel.values[begin:end] if len(panel.values) >= patch else panel.values
        value = say("none")
        if np.isfinite(seen).any():
            value = say("{mean:,.4g} on average", mean=np.nanmean(seen))
        if len(part):
            pieces.append((name, value, float(part.sum())))
    n_calendar = len(panel.grid.calendar_names)
    known = [contributions[name] for name in ("so_far", "ahead") if name in contributions]
    if known and n_calendar:
        times = panel.time_of(panel.ends + 1)[0]
        total = sum(float(part[..., :n_calendar].sum()) for part in known)
        pieces.append((say("calendar"), say("from {time} on", time=times), total))
    for name, columns in _columns(reading.future).items():
        total = sum(float(part[..., n_calendar:][..., columns].sum()) for part in known)
        pieces.append((name, say("so far and ahead"), total))
    for kind, code in (("past", reading.past), ("static", reading.static)):
        for name, columns in _columns(code).items():
            total = float(contributions[kind][..., columns].sum())
            pieces.append((name, say("so far") if kind == "past" else say("of the series"), total))
    if shape.own:
        own = float(contributions["static"][..., reading.static.width :].sum())
        pieces.append((say("which target"), "", own))
    return pieces


def _columns(code: CovariateCode) -> dict[str, slice]:
    """Return where each covariate's columns are."""
    places, begin = {}, 0
    for name in code.names:
        width = len(code.categories[name]) if name in code.categories else 1
        places[name] = slice(begin, begin + width)
        begin += width
    return places


def _words(
    panel: Panel,
    k: int,
    shape: Shape,
    forecasts: tuple[float, float],
    parts: tuple[Part, ...],
    say: Translator,
) -> tuple[str, ...]:
    name, steps, (anchor, forecast) = panel.targets[k], shape.steps, forecasts
    about = {"target": name, "mean": forecast, "count": steps}
    words = [
        say("The next step: {target} of {mean:,.4g} on average.", **about)
        if steps == 1
        else say("The next {count:,} steps: {target} of {mean:,.4g} on average.", **about)
    ]
    rule = say("the last value")
    if shape.season > 1:
        rule = say("the same places of the last season of {count} steps", count=shape.season)
    if anchor:
        change = forecast / anchor - 1.0
        much = {"change": abs(change), "rule": rule, "anchor": anchor}
        words.append(
            say("That is {change:.0%} more than {rule} ({anchor:,.4g}).", **much)
            if change > 0
            else say("That is {change:.0%} less than {rule} ({anchor:,.4g}).", **much)
        )
    else:
        words.append(say("By {rule} it would be {anchor:,.4g}.", rule=rule, anchor=anchor))
    history = panel.values[:, k]
    recent, before = history[-steps:], history[-2 * steps : -steps]
    if np.isfinite(recent).any() and np.isfinite(before).any() and np.nanmean(before) > 0:
        ratio = np.nanmean(recent) / np.nanmean(before)
        words.append(
            say("The last step had {ratio:.1f} times as much as the one before it.", ratio=ratio)
            if steps == 1
            else say(
                "The last {count:,} steps had {ratio:.1f} times as much as the {count} before them.",
                count=steps, ratio=ratio,
            )
        )  # fmt: skip

    def spelled(what: str, _: str, by: float) -> str:
        return say("{what} by {size:,.3g}", what=what, size=by)

    return (*words, *what_moves_it(parts, _LEAST * abs(forecast), spelled, say))


def unexpected_values(model: SeriesForecaster, panel: Panel | None, level: float) -> pl.DataFrame:
    """List the values outside of the interval that was forecast for them; see `foretell.anomalies`.

    Each fold of one horizon is forecast from what lies before it.
    """
    own = int(model.panel_.ends.max())
    if panel is None:
        panel, first = model.panel_, own - model.horizon + 1
    else:
        first = own + 1
    last = int(panel.ends.max())
    if last < first:
        raise DataError(
            f"no step comes after the model's last one, {panel.time_of([own])[0]}; expected a panel that "
            "goes on"
        )
    tails = (0.5 - level / 200, 0.5, 0.5 + level / 200)
    # No value lies outside of an interval that is not known: a table without rows.
    unknown = np.full((panel.n_series, 1, len(panel.targets), 3), np.nan)
    parts = [_outside(panel, panel, unknown, first)]
    for begin in range(first, last + 1, model.horizon):
        h = min(model.horizon, last - begin + 1)
        before = panel.up_to(begin - 1)
        # A series whose last steps are missing is forecast from its last value on.
        missing = begin - 1 - before.ends
        for gap in np.unique(missing[missing < model.horizon]):
            part = before.take(missing == gap)
            parts.append(_outside(panel, part, model.forecast(part, int(h + gap), tails)[:, gap:], begin))
    return pl.concat(parts).sort("score", descending=True)


def _outside(panel: Panel, before: Panel, quantiles: FloatArray, begin: int) -> pl.DataFrame:
    """Return the values of a fold that lie outside, quantiles of shape (n_series, h, n_targets, 3)."""
    n, h, n_targets = quantiles.shape[:3]
    truth = np.full((n, h, n_targets), np.nan)
    place = {key: i for i, key in enumerate(panel.ids.to_list())}
    for i, key in enumerate(before.ids.to_list()):
        row = place[key]
        start = panel.offsets[row] + begin - panel.starts[row]
        values = panel.values[start : min(start + h, panel.offsets[row + 1])]
        truth[i, : len(values)] = values
    low, middle, high = np.moveaxis(quantiles, -1, 0)
    with np.errstate(invalid="ignore"):
        side = np.where(truth > middle, high - middle, middle - low)
        outside = (truth < low) | (truth > high)
        score = np.abs(truth - middle) / np.maximum(side, 1e-12)
    series, step, target = np.nonzero(outside)
    return pl.DataFrame(
        {
            "unique_id": before.ids.gather(series),
            "ds": panel.time_of(begin + step),
            "what": pl.Series([panel.targets[k] for k in target], dtype=pl.String),
            "value": truth[outside],
            "low": low[outside],
            "high": high[outside],
            "score": score[outside],
        }
    )
