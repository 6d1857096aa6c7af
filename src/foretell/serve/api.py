"""The routes of the service, under ``/v1``; ``/openapi.json`` describes them."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import polars as pl
from fastapi import APIRouter, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from foretell._version import __version__
from foretell.data.rows import likely_columns
from foretell.data.tables import typed_ids
from foretell.errors import ForetellError, ParameterError
from foretell.serve import answers, reading
from foretell.serve.bodies import (
    CompareAsk,
    DatabaseAsk,
    ExplainAsk,
    ExplanationAbout,
    Failed,
    FitAsk,
    Health,
    Horizon,
    JobAbout,
    JobList,
    Key,
    Level,
    ModelAbout,
    ModelName,
    Models,
    PredictAsk,
    Row,
    Rows,
    ShortlistAsk,
    SourceAbout,
    SpendAsk,
    TotalsAsk,
    UpdateAsk,
    ValueAsk,
)

if TYPE_CHECKING:
    from foretell.serve.app import Service
    from foretell.serve.bodies import Reading
    from foretell.serve.jobs import Job, JobKind
    from foretell.serve.models import Loaded
    from foretell.serve.store import Source

ARROW: Final = "application/vnd.apache.arrow.stream"
_JSON: Final = "application/json"
_SAID: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Failed, "description": description}
    for status, description in {
        400: "The request cannot be parsed.",
        401: "The token is missing or wrong.",
        403: "A page of another origin asked.",
        404: "There is no such thing.",
        409: "The request is well formed, and this model or these data cannot do it.",
        413: "More is sent than is taken.",
        421: "It was asked under another name than this machine's.",
        422: "The request is not well formed.",
        503: "There is too much to do.",
    }.items()
}
_TABLE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": Rows, "content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}
}

health = APIRouter(responses=_SAID)
api = APIRouter(prefix="/v1", responses=_SAID)

Name = Annotated[ModelName, Path(description="The model.")]
OneId = Annotated[str, Path(max_length=200, min_length=1, description="The customer, as text.")]


def service_of(request: Request) -> Service:
    """Return what the routes share."""
    service: Service = request.app.state.service
    return service


@health.get("/health", summary="Whether the service is well")
async def get_health() -> Health:
    """Answer at once; no token is needed."""
    return Health(status="ok", version=__version__)


@health.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """Return requests and their times, of all workers, and jobs."""
    service = service_of(request)
    text = await run_in_threadpool(service.metrics)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@api.get("/models", summary="The models that answer")
async def get_models(request: Request) -> Models:
    """List the models."""
    service = service_of(request)

    def work() -> Models:
        found, unreadable = [], {}
        for name in service.shelf.names():
            try:
                found.append(service.shelf.about(name))
            except ForetellError as error:
                unreadable[name] = str(error)
        return Models(models=found, unreadable=unreadable)

    return await service.desk.do(work)


@api.get("/models/{model}", summary="One model")
async def get_model(request: Request, model: Name) -> ModelAbout:
    """Say what a model is and what it was fitted to."""
    return (await _loaded(request, model)).about


@api.delete("/models/{model}", summary="Remove a model", status_code=204, response_class=Response)
async def delete_model(request: Request, model: Name) -> Response:
    """Remove a model that the service has fitted; others belong to who started it."""
    service = service_of(request)
    if not service.shelf.is_own(model):
        raise ParameterError(
            f"{model} was named when the service was started; it is not the service's to remove"
        )
    await run_in_threadpool(service.store.drop_model, model)
    service.shelf.forget(model)
    return Response(status_code=204)


@api.get("/models/{model}/customers/{id}", summary="The forecast of one customer", response_model=Row)
async def get_customer(
    request: Request,
    model: Name,
    id: OneId,  # noqa: A002  # the users' word for it
    horizon: Annotated[list[Horizon] | None, Query(max_length=20)] = None,
    level: Annotated[list[Level] | None, Query(max_length=20)] = None,
) -> Response:
    """Answer for one customer; one whom the model does not know is new on its as-of date."""
    service = service_of(request)
    loaded = await _loaded(request, model)
    if loaded.about.kind != "events":
        raise ParameterError(f"{model} is a model of regular series; ask /v1/models/{model}/predict")
    horizons = tuple(horizon or answers.HORIZONS)
    answers.check_reach(answers.data_of(loaded.model), horizons, service.config.limits)
    (customer,) = typed_ids(answers.data_of(loaded.model).ids, [id])
    levels = answers.whole(level or (50, 80, 95))
    return Response(await service.desk.customer(loaded, customer, (horizons, levels)), media_type=_JSON)


@api.post("/models/{model}/predict", summary="Forecasts", response_model=Rows, responses=_TABLE)
async def post_predict(request: Request, model: Name, ask: PredictAsk) -> Response:
    """Answer for some customers or series, or a stretch of all; with visits as if these had come, too."""
    return await _table(request, model, functools.partial(answers.predict, ask=ask))


@api.post("/models/{model}/totals", summary="Sums, with intervals", response_model=Rows, responses=_TABLE)
async def post_totals(request: Request, model: Name, ask: TotalsAsk) -> Response:
    """Answer for many customers or series together."""
    return await _table(request, model, functools.partial(answers.totals, ask=ask))


@api.post("/models/{model}/spend", summary="What customers will spend", response_model=Rows, responses=_TABLE)
async def post_spend(request: Request, model: Name, ask: SpendAsk) -> Response:
    """Answer for some customers, or a stretch of all; the model's log has a mark that is an amount."""
    return await _table(request, model, functools.partial(answers.spend, ask=ask))


@api.post(
    "/models/{model}/value", summary="What visits to come are worth", response_model=Rows, responses=_TABLE
)
async def post_value(request: Request, model: Name, ask: ValueAsk) -> Response:
    """Value the visits to come of some customers, or a stretch of all, at their worth today."""
    return await _table(request, model, functools.partial(answers.value, ask=ask))


@api.post("/models/{model}/shortlist", summary="Whom to write to", response_model=Rows, responses=_TABLE)
async def post_shortlist(request: Request, model: Name, ask: ShortlistAsk) -> Response:
    """List the customers by whom a contact may win most, each with the reason."""
    return await _table(request, model, functools.partial(answers.shortlist, ask=ask))


@api.post("/models/{model}/explain", summary="Why a forecast is what it is")
async def post_explain(request: Request, model: Name, ask: ExplainAsk) -> ExplanationAbout:
    """Explain the forecast of one customer or series, in words and numbers."""
    service = service_of(request)
    loaded = await _loaded(request, model)
    found = await service.desk.do(lambda: answers.explain(loaded.model, ask, service.config.limits))
    return ExplanationAbout(
        id=ask.id,
        quantity=found.quantity,
        anchor=found.anchor,
        forecast=found.forecast,
        words=list(found.words),
        parts=found.table().to_dicts(),
    )


@api.post("/models/{model}/update", summary="Move a model forward", status_code=202)
async def post_update(request: Request, model: Name, ask: UpdateAsk) -> JobAbout:
    """Accept new visits, which a job adds; rows that the model has seen are left out."""
    service = service_of(request)
    if (ask.source is None) != (ask.read is None):
        raise ParameterError("source= and read= go together: what is read, and how")
    if ask.visits is not None and ask.source is not None:
        raise ParameterError("visits= and source= are two places; expected one")
    if ask.visits is None and ask.source is None and ask.as_of is None:
        raise ParameterError("nothing new; expected visits=, a source= with read=, or as_of=")
    loaded = await _loaded(request, model)
    if loaded.about.kind != "events":
        raise ParameterError(
            "update takes a model of visits, and this is one of regular series: fit it again"
        )
    _check_sources(service, ask.source, ask.read)
    return await _accept(service, "update", model, ask.model_dump())


@api.post(
    "/sources",
    summary="Send a file",
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def post_source(
    request: Request, name: Annotated[str, Query(min_length=1, max_length=200)]
) -> SourceAbout:
    """Take a file, whose name says by its ending what it holds; return its columns and first rows."""
    service = service_of(request)
    await run_in_threadpool(service.make_room)
    with service.store.receive(name, service.config.limits.unpacked) as (file, key):
        async for block in request.stream():
            await run_in_threadpool(file.write, block)
    try:
        return await service.desk.do(lambda: about_source(service.store.source(key)))
    except Exception:
        service.store.drop_source(key)
        raise


@api.post("/sources/database", summary="Name a table of a database", status_code=201)
async def post_database(request: Request, ask: DatabaseAsk) -> SourceAbout:
    """Keep where a table of PostgreSQL or MySQL is; return its columns and first rows."""
    service = service_of(request)

    def work() -> SourceAbout:
        service.make_room()
        source = reading.remember_database(service.store, ask)
        try:
            return about_source(source)
        except Exception:
            service.store.drop_source(source.key)
            raise

    return await service.desk.do(work)


@api.get("/sources/{source}", summary="One file or table")
async def get_source(request: Request, source: Key) -> SourceAbout:
    """Return the columns and first rows of a source."""
    service = service_of(request)
    return await service.desk.do(lambda: about_source(service.store.source(source)))


@api.delete("/sources/{source}", summary="Remove a file", status_code=204, response_class=Response)
async def delete_source(request: Request, source: Key) -> Response:
    """Remove a source; jobs that wait for it fail."""
    await run_in_threadpool(service_of(request).store.drop_source, source)
    return Response(status_code=204)


def _check_sources(service: Service, source: str | None, read: Reading | None) -> None:
    """Refuse files and tables that are not there."""
    for key in (source, None if read is None else read.calendar):
        if key is not None:
            service.store.source(key)


@api.post("/fits", summary="Fit a model", status_code=202)
async def post_fit(request: Request, ask: FitAsk) -> JobAbout:
    """Accept a fit; when the job is done the model answers, in place of an older one of the name."""
    service = service_of(request)
    _check_sources(service, ask.source, ask.read)
    if not service.shelf.is_own(ask.model):
        raise ParameterError(f"{ask.model} was named when the service was started; choose another name")
    return await _accept(service, "fit", ask.model, ask.model_dump())


@api.post("/comparisons", summary="Compare models", status_code=202)
async def post_comparison(request: Request, ask: CompareAsk) -> JobAbout:
    """Accept a comparison on the end of the data, which is held back from the models."""
    service = service_of(request)
    if (ask.source is None) != (ask.read is None) or (ask.model is None) == (ask.source is None):
        raise ParameterError("expected model=, whose data are compared on, or source= with read=")
    if ask.model is not None:
        await _loaded(request, ask.model)
    _check_sources(service, ask.source, ask.read)
    return await _accept(service, "compare", ask.model or "comparison", ask.model_dump())


@api.get("/jobs", summary="The last jobs")
async def get_jobs(request: Request) -> JobList:
    """List the jobs that were accepted last, the latest first."""
    service = service_of(request)
    jobs = await run_in_threadpool(service.jobs.last)
    return JobList(jobs=[about_job(job) for job in jobs])


@api.get("/jobs/{job}", summary="One job")
async def get_job(request: Request, job: Key) -> JobAbout:
    """Say how far a job is, or how it ended."""
    service = service_of(request)

    def work() -> JobAbout:
        found = service.store.result(job)
        return about_job(service.jobs.get(job), found)

    return await run_in_threadpool(work)


@api.post("/jobs/{job}/cancel", summary="Give a job up")
async def post_cancel(request: Request, job: Key) -> JobAbout:
    """Give a job up, whether it waits or runs; of one that is over nothing changes."""
    return about_job(await run_in_threadpool(service_of(request).jobs.cancel, job))


def about_job(job: Job, result: object = None) -> JobAbout:
    """Say how far a job is."""
    return JobAbout(
        job=job.key,
        kind=job.kind,
        model=job.model,
        state=job.state,
        progress=job.progress,
        message=job.message,
        created=job.created,
        finished=job.finished,
        result=result if isinstance(result, dict) else None,
    )


def about_source(source: Source) -> SourceAbout:
    """Say what a source holds."""
    head = reading.head(source)
    rows = [{name: _cell(value) for name, value in row.items()} for row in head.to_dicts()]
    return SourceAbout(
        source=source.key,
        label=source.label,
        columns=head.columns,
        head=rows,
        likely=likely_columns(head.columns),
    )


def _cell(value: object) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


async def _accept(service: Service, kind: JobKind, model: str, asked: dict[str, object]) -> JobAbout:
    most = service.config.limits.jobs
    return about_job(await run_in_threadpool(lambda: service.jobs.add(kind, model, asked, most=most)))


async def _loaded(request: Request, name: str) -> Loaded:
    service = service_of(request)
    ready = service.shelf.ready(name)
    return await service.desk.do(lambda: service.shelf.get(name)) if ready is None else ready


async def _table(request: Request, name: str, ask: Callable[..., pl.DataFrame]) -> Response:
    """Answer with a table, as JSON or, where it is asked for, as a stream of Arrow."""
    service = service_of(request)
    loaded = await _loaded(request, name)
    arrow = ARROW in request.headers.get("accept", "")

    def work() -> bytes:
        table = ask(loaded.model, limits=service.config.limits)
        if not arrow:
            return b'{"rows":' + table.write_json().encode() + b"}"
        file = io.BytesIO()
        table.write_ipc_stream(file)
        return file.getvalue()

    return Response(await service.desk.do(work), media_type=ARROW if arrow else _JSON)
