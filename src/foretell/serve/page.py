"""The page: files are dropped, models fitted, and what they answer is looked at, in a browser."""

from __future__ import annotations

import asyncio
import functools
import io
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from urllib.parse import urlsplit

import jinja2
import polars as pl
import pydantic
import vl_convert
from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from foretell.data.sinks import WRITERS
from foretell.errors import ForetellError, ParameterError
from foretell.i18n import LANGUAGES, Translator
from foretell.serve import answers
from foretell.serve.api import about_source, service_of
from foretell.serve.bodies import (
    CompareAsk,
    DatabaseAsk,
    FitAsk,
    Key,
    ModelName,
    PredictAsk,
    ShortlistAsk,
    SpendAsk,
    TotalsAsk,
    UpdateAsk,
    asked,
)
from foretell.serve.guard import COOKIE, cookie_of, is_token
from foretell.serve.pictures import digest
from foretell.serve.reading import remember_database
from foretell.serve.words import FIGURES, headings, spelled

if TYPE_CHECKING:
    from types import ModuleType

    from foretell.core.contracts import Kind
    from foretell.events.forecaster import EventForecaster
    from foretell.serve.answers import Model
    from foretell.serve.app import Service
    from foretell.serve.models import Loaded
    from foretell.serve.settings import Limits

Name = Annotated[ModelName, Path()]
_LANGUAGE: Final = "foretell-language"
_YEAR: Final = 365 * 86_400
_HORIZONS: Final = ("7d", "30d", "90d", "1y")
_DOWNLOADS: Final = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

page = APIRouter(prefix="/page", include_in_schema=False)
root = APIRouter(include_in_schema=False)


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("foretell.serve"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_KINDS: Final = {"page.css": "text/css", "page.js": "text/javascript", "vega.js": "text/javascript"}


@functools.cache
def _static(name: str) -> str:
    """Return a file that pages ask for."""
    if name == "vega.js":
        bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        return bundle
    return (resources.files("foretell.serve") / "static" / name).read_text(encoding="utf-8")


@functools.cache
def _addresses() -> Mapping[str, str]:
    """Return where pages find their files: another address for another content."""
    versions = {name: digest(_static(name)) for name in _KINDS if name != "vega.js"}
    versions["vega.js"] = f"{vl_convert.get_vega_version()}-{vl_convert.get_vega_embed_version()}"
    return {name: f"/page/static/{name}?v={version}" for name, version in versions.items()}


def translator(request: Request) -> Translator:
    """Return the reader's language: the one chosen, else the browser's."""
    chosen = request.cookies.get(_LANGUAGE)
    if chosen in LANGUAGES:
        return Translator(str(chosen))
    first = request.headers.get("accept-language", "").lower()[:2]
    return Translator(first if first in LANGUAGES else "en")


def show(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template."""
    say = translator(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    shared = {"say": say, "languages": LANGUAGES, "static": _addresses(), "here": here, "spelled": spelled}
    text = _templates().get_template(f"{template}.html").render(**{"pictures": [], **shared, **values})
    return HTMLResponse(text, status)


def show_error(request: Request, message: str, status: int) -> HTMLResponse:
    """Return a page that says what went wrong."""
    back = urlsplit(request.headers.get("referer", "")).path
    back = back if back.startswith("/page") else "/page"
    return show(request, "error", status, message=translator(request).retell(message), back=back)


@root.get("/")
async def get_root() -> Response:
    """Show the page."""
    return RedirectResponse("/page", 303)


@page.get("/static/{name}")
async def get_static(name: str) -> Response:
    """Return a file that pages ask for."""
    if name not in _KINDS:
        return Response(status_code=404)
    content = await run_in_threadpool(_static, name)
    return Response(
        content, media_type=_KINDS[name], headers={"Cache-Control": f"max-age={_YEAR}, immutable"}
    )


@page.get("/enter")
async def get_enter(request: Request) -> Response:
    """Ask for the token."""
    return show(request, "enter", wrong=False)


@page.post("/enter")
async def post_enter(request: Request) -> Response:
    """Take the token, and give a cookie in its place."""
    service, form = service_of(request), await request.form()
    token = service.config.token
    if token is not None and not is_token(_text(form, "token"), token):
        return show(request, "enter", 401, wrong=True)
    answer = RedirectResponse("/page", 303)
    if token is not None:
        answer.set_cookie(COOKIE, cookie_of(token), httponly=True, samesite="strict", max_age=_YEAR)
    return answer


@page.post("/language")
async def post_language(request: Request) -> Response:
    """Remember a language."""
    form = await request.form()
    back = _text(form, "back")
    answer = RedirectResponse(back if back.startswith("/page") else "/page", 303)
    if _text(form, "language") in LANGUAGES:
        answer.set_cookie(_LANGUAGE, _text(form, "language"), samesite="strict", max_age=_YEAR)
    return answer


@page.get("")
async def get_home(request: Request) -> Response:
    """Show the models, and where to drop a file."""
    service = service_of(request)

    def work() -> tuple[list[Any], list[Any]]:
        models: list[Any] = []
        for name in service.shelf.names():
            try:
                models.append(service.shelf.about(name))
            except ForetellError as error:
                models.append({"name": name, "broken": str(error)})
        return models, service.jobs.last(10)

    models, jobs = await service.desk.do(work)
    asyncio.get_running_loop().run_in_executor(None, _views)  # what is looked at next needs the charts
    return show(request, "home", models=models, jobs=jobs)


@page.post("/sources")
async def post_source(request: Request) -> Response:
    """Take a file."""
    return RedirectResponse(f"/page/sources/{await _received(request)}", 303)


async def _received(request: Request) -> str:
    """Keep the file that a form holds; return its key."""
    service = service_of(request)
    async with request.form(max_files=1, max_fields=5) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or not file.filename:
            raise ParameterError("no file was chosen; expected a table such as visits.csv")
        limits = service.config.limits
        await run_in_threadpool(service.make_room)
        with service.store.receive(file.filename[-200:], limits.unpacked) as (kept, key):
            while block := await file.read(2**20):
                await run_in_threadpool(kept.write, block)
    return key


@page.post("/databases")
async def post_database(request: Request) -> Response:
    """Take the address of a table."""
    service, form = service_of(request), await request.form()
    ask = asked(DatabaseAsk, url=_text(form, "url"), table=_text(form, "table"))
    await run_in_threadpool(service.make_room)
    source = await service.desk.do(lambda: remember_database(service.store, ask))
    return RedirectResponse(f"/page/sources/{source.key}", 303)


@page.get("/sources/{source}")
async def get_source(request: Request, source: Key) -> Response:
    """Show what was read, and let columns be chosen."""
    service = service_of(request)
    about = await service.desk.do(lambda: about_source(service.store.source(source)))
    stem = re.sub(r"[^a-z0-9]+", "-", FilePath(about.label).name.partition(".")[0].lower()).strip("-")
    return show(request, "source", source=about, proposed=(stem or "model")[:40])


@page.post("/sources/{source}/fit")
async def post_fit(request: Request, source: Key) -> Response:
    """Accept a fit."""
    service, form = service_of(request), await request.form()
    kind = _text(form, "kind") or "events"
    read: dict[str, object] = {"kind": kind, "time": _text(form, "time"), "id": _text(form, "id")}
    read["as_of"] = _text(form, "as_of")
    if kind == "events":
        read |= {"marks": _listed(form, "mark"), "group": _text(form, "group")}
        read["static"] = _listed(form, "static")
    else:
        read |= {"target": _listed(form, "target"), "freq": _text(form, "freq")}
    horizon = _text(form, "horizon") if kind == "series" else None
    ask = asked(
        FitAsk,
        model=_text(form, "model"),
        source=source,
        read={name: value for name, value in read.items() if value},
        by=_text(form, "by") or "auto",
        horizon=int(horizon) if horizon is not None and horizon.isdecimal() else horizon,
    )
    if not service.shelf.is_own(ask.model):
        raise ParameterError(f"{ask.model} was named when the service was started; choose another name")
    service.store.source(source)
    return await _accepted(service, "fit", ask.model, ask)


@page.get("/jobs/{job}")
async def get_job(request: Request, job: Key) -> Response:
    """Show how far a job is."""
    service = service_of(request)
    found = await run_in_threadpool(service.jobs.get, job)
    result = cast("dict[str, Any]", await run_in_threadpool(service.store.result, job))
    if found.state == "done" and found.kind == "compare":
        places = [result["columns"].index(name) for name in FIGURES if name in result["columns"]]
        first = [[row[place] for place in places] for row in result["rows"]]
        from foretell.evaluation.referee import Verdict  # noqa: PLC0415  # brings the comparisons

        say = translator(request)
        columns = headings([result["columns"][place] for place in places], say)
        # Comparisons of earlier versions kept the sentence alone.
        verdict = Verdict(**result["judged"]).in_words(say) if "judged" in result else result["verdict"]
        return show(
            request, "comparison", job=found, result=result, verdict=verdict, columns=columns, rows=first
        )
    return show(request, "job", job=found, next=f"/page/models/{found.model}")


@page.post("/jobs/{job}/cancel")
async def post_cancel(request: Request, job: Key) -> Response:
    """Give a job up."""
    await run_in_threadpool(service_of(request).jobs.cancel, job)
    return RedirectResponse(f"/page/jobs/{job}", 303)


@page.get("/models/{model}")
async def get_overview(request: Request, model: Name) -> Response:
    """Show what to expect."""
    loaded, say = await _loaded(request, model), translator(request)
    if loaded.about.kind == "series":
        return RedirectResponse(f"/page/models/{model}/series", 303)

    return await _of_the_whole(request, "overview", loaded, lambda views: views.overview(loaded, say))


@page.get("/models/{model}/shop")
async def get_shop(request: Request, model: Name) -> Response:
    """Show what was learned of the shop."""
    loaded, say = await _loaded(request, model, "events"), translator(request)

    return await _of_the_whole(request, "shop", loaded, lambda views: views.shop(loaded, say))


@page.get("/models/{model}/shortlist")
async def get_shortlist(
    request: Request,
    model: Name,
    top: Annotated[int, Query(ge=1, le=1_000)] = 20,
    horizon: Annotated[str, Query(max_length=10)] = "30d",
) -> Response:
    """Show whom to write to."""
    loaded, say = await _loaded(request, model, "events"), translator(request)
    ask = asked(ShortlistAsk, top=top, horizon=horizon, value=loaded.about.worth, language=say.language)
    table = await _answered(request, loaded, answers.shortlist, ask)
    names = ["unique_id", "reason", "last_event", "visits_to_win", "value_per_visit", "value_to_win"]
    table = table.select([name for name in names if name in table.columns])
    values: dict[str, Any] = {"top": top, "horizon": horizon, "horizons": _HORIZONS}
    columns, rows = headings(table.columns, say), table.rows()
    return show(request, "shortlist", about=loaded.about, columns=columns, rows=rows, **values)


@page.get("/models/{model}/customer")
async def get_customer(
    request: Request,
    model: Name,
    id: Annotated[str, Query(max_length=200)] = "",  # noqa: A002  # the users' word for it
    visit: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show one customer: what to expect, why, and what if they came."""
    loaded, say = await _loaded(request, model, "events"), translator(request)
    limits, name = service_of(request).config.limits, id.strip()

    def work(views: ModuleType) -> dict[str, Any]:
        if not name:
            return {"found": None, "others": views.regulars(loaded)}
        return cast("dict[str, Any]", views.customer(loaded, name, visit, say, limits))

    return await _shown(request, "customer", loaded, work, id=name, visit=visit)


@page.get("/models/{model}/series")
async def get_series(
    request: Request,
    model: Name,
    id: Annotated[str, Query(max_length=200)] = "",  # noqa: A002  # the users' word for it
) -> Response:
    """Show one series with its forecast."""
    loaded, say = await _loaded(request, model, "series"), translator(request)
    limits = service_of(request).config.limits
    return await _shown(request, "series", loaded, lambda views: views.series(loaded, id, say, limits))


@page.get("/models/{model}/why")
async def get_why(
    request: Request,
    model: Name,
    id: Annotated[str, Query(max_length=200)],  # noqa: A002  # the users' word for it
) -> Response:
    """Say why a forecast is what it is, as a part of another page; the first time it takes some seconds."""
    loaded, limits = await _loaded(request, model), service_of(request).config.limits
    say = translator(request)
    return await _shown(request, "why", loaded, lambda views: views.why(loaded, id, say, limits))


@page.post("/models/{model}/compare")
async def post_compare(request: Request, model: Name) -> Response:
    """Accept a comparison with simple rules."""
    await _loaded(request, model)
    return await _accepted(service_of(request), "compare", model, CompareAsk(model=model))


@page.get("/models/{model}/update")
async def get_update(request: Request, model: Name, source: Key | None = None) -> Response:
    """Ask for new visits; of a file that was sent show what was read."""
    service, loaded = service_of(request), await _loaded(request, model, "events")
    if source is None:
        return show(request, "update", about=loaded.about, source=None)
    sent = await service.desk.do(lambda: about_source(service.store.source(source)))
    log = cast("EventForecaster", loaded.model).log_
    values: dict[str, Any] = {
        "missing": [name for name in (*log.mark_names, *log.static_names) if name not in sent.columns],
        "groups": log.groups is not None,
        "next_day": str(log.date(log.as_of + 1))[:10],
    }
    return show(request, "update", about=loaded.about, source=sent, **values)


@page.post("/models/{model}/update")
async def post_new_visits(request: Request, model: Name) -> Response:
    """Take a file of new visits."""
    await _loaded(request, model, "events")
    return RedirectResponse(f"/page/models/{model}/update?source={await _received(request)}", 303)


@page.post("/models/{model}/update/{source}")
async def post_update(request: Request, model: Name, source: Key) -> Response:
    """Accept an update."""
    await _loaded(request, model, "events")
    service, form = service_of(request), await request.form()
    service.store.source(source)
    read = {name: _text(form, name) for name in ("id", "time", "group") if _text(form, name)}
    ask = asked(UpdateAsk, source=source, read=read, as_of=_text(form, "as_of") or None)
    return await _accepted(service, "update", model, ask)


@page.get("/models/{model}/downloads")
async def get_downloads(request: Request, model: Name) -> Response:
    """Show what can be taken along."""
    loaded = await _loaded(request, model)
    return show(request, "downloads", about=loaded.about, endings=list(_DOWNLOADS))


@page.get("/models/{model}/report.html")
async def get_report(request: Request, model: Name) -> Response:
    """Return the page of the shop as one file."""
    loaded, say = await _loaded(request, model, "events"), translator(request)
    page_of_shop = await service_of(request).desk.do(lambda: _views().report(loaded, say))
    return _download(page_of_shop, f"{model}-report.html", "text/html; charset=utf-8")


@page.get("/models/{model}/{table}.{ending}")
async def get_table(
    request: Request,
    model: Name,
    table: Annotated[str, Path(pattern="^(forecasts|shortlist|spend|totals)$")],
    ending: Annotated[str, Path(pattern="^(csv|xlsx)$")],
) -> Response:
    """Return a table as a file."""
    loaded, say = await _loaded(request, model), translator(request)
    service = service_of(request)
    limits = service.config.limits

    def work() -> bytes:
        file = io.BytesIO()
        WRITERS[f".{ending}"](iter([_table(table, loaded, limits, say)]), file)
        return file.getvalue()

    return _download(await service.desk.do(work), f"{model}-{table}.{ending}", _DOWNLOADS[ending])


def _table(name: str, loaded: Loaded, limits: Limits, say: Translator) -> pl.DataFrame:
    """Return what is taken along under a name; of sums also those of what visits are worth."""
    model, worth = loaded.model, loaded.about.worth
    if name == "forecasts":
        return answers.predict(model, asked(PredictAsk, levels=[80], limit=limits.rows), limits)
    if name == "shortlist":
        return answers.shortlist(model, asked(ShortlistAsk, value=worth, language=say.language), limits)
    if name == "spend":
        return answers.spend(model, asked(SpendAsk, mark=worth or "amount", limit=limits.rows), limits)
    if loaded.about.kind == "series":
        return answers.totals(model, asked(TotalsAsk, by=["step"]), limits)
    visits = answers.totals(model, asked(TotalsAsk, by=["week"], horizon="13w"), limits)
    if worth is None:
        return visits
    ask = asked(TotalsAsk, by=["week"], horizon="13w", mark=worth)
    return pl.concat([visits, answers.totals(model, ask, limits).drop("ds", "end")], how="horizontal")


def _download(content: bytes, name: str, kind: str) -> Response:
    return Response(
        content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _views() -> ModuleType:
    from foretell.serve import views  # noqa: PLC0415  # brings the charts, which programs do not ask for

    return views


async def _shown(
    request: Request,
    template: str,
    loaded: Loaded,
    work: Callable[[ModuleType], dict[str, Any]],
    **values: Any,
) -> Response:
    """Show what is made in a thread."""
    made = await service_of(request).desk.do(lambda: work(_views()))
    return show(request, template, about=loaded.about, **values, **made)


async def _of_the_whole(
    request: Request, template: str, loaded: Loaded, work: Callable[[ModuleType], dict[str, Any]]
) -> Response:
    """Show what is the same for everybody, and is made once for each version of a model."""
    key = template, translator(request).language
    if key not in loaded.shown:
        loaded.shown[key] = await service_of(request).desk.do(lambda: work(_views()))
    return show(request, template, about=loaded.about, **loaded.shown[key])


async def _answered(
    request: Request, loaded: Loaded, answer: Callable[[Model, Any, Any], pl.DataFrame], ask: object
) -> pl.DataFrame:
    service = service_of(request)
    return await service.desk.do(lambda: answer(loaded.model, ask, service.config.limits))


async def _loaded(request: Request, name: str, kind: Kind | None = None) -> Loaded:
    """Return a model; refuse one that answers another question than the page shows."""
    service = service_of(request)
    ready = service.shelf.ready(name)
    loaded = await service.desk.do(lambda: service.shelf.get(name)) if ready is None else ready
    if kind is not None and loaded.about.kind != kind:
        what = {"events": "visits", "series": "regular series"}
        raise ParameterError(
            f"{name} is a model of {what[loaded.about.kind]}, and this page shows those of {what[kind]}"
        )
    return loaded


async def _accepted(service: Service, kind: Any, model: str, ask: pydantic.BaseModel) -> Response:
    most = service.config.limits.jobs
    job = await run_in_threadpool(lambda: service.jobs.add(kind, model, ask.model_dump(), most=most))
    return RedirectResponse(f"/page/jobs/{job.key}", 303)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _listed(form: FormData, name: str) -> list[str]:
    return [value for value in form.getlist(name) if isinstance(value, str) and value]
