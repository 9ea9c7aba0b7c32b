"""The addresses of the console, each for users whom Airflow knows and lets see it."""

from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_access_view
from modelyard.airflow.ui.cards import Card, TaskKey, card_of, model_card
from modelyard.airflow.ui.errors import PlaceNotFound
from modelyard.airflow.ui.health import with_health
from modelyard.airflow.ui.places import Place, places
from modelyard.errors import ModelyardError

__all__ = ["create_application"]

_FILES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "card.js": "text/javascript",
    "elements.js": "text/javascript",
    "models.svg": "image/svg+xml",
    "models-dark.svg": "image/svg+xml",
}
_HEADERS = {
    # All that a page needs comes from here, and nobody but Airflow's own pages may frame it.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

router = APIRouter()


def create_application() -> FastAPI:
    """Return the application: no address of it answers who may not see Airflow's site."""
    application = FastAPI(
        title="modelyard",
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    )
    application.include_router(router)
    application.add_exception_handler(ModelyardError, _refused)
    return application


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ModelyardError)  # noqa: S101 - it is registered for these alone
    place = getattr(request.state, "place", None)
    told = {"message": f"{error.where}: {error.what}" if error.where else error.what, "mend": error.mend}
    if place:
        told = {name: place.without_secrets(text) for name, text in told.items()}
    return JSONResponse({"error": {"kind": str(error.error_kind), **told}}, error.outcome.http)


@router.get("/")
def console() -> Response:
    """Return the page of all projects."""
    return _file("console.html", "text/html")


@router.get("/card")
def card_page() -> Response:
    """Return the page of one task instance, which its own address names."""
    return _file("card.html", "text/html")


@router.get("/files/{name}")
def static_file(name: str) -> Response:
    """Return a part of the pages."""
    if name not in _FILES:
        raise HTTPException(404, "there is no such file")
    return _file(name, _FILES[name])


@router.get("/api/places")
def all_places() -> list[dict[str, str]]:
    """Return what can be looked at: nothing is read yet."""
    return [{"name": each.name, "problem": each.problem} for each in places()]


def _place(request: Request, place: Annotated[str, Query()]) -> Place:
    found = next((each for each in places() if each.name == place), None)
    if found is None or found.problem:
        raise PlaceNotFound(place, found.problem if found else "")
    request.state.place = found
    return found


ChosenPlace = Annotated[Place, Depends(_place)]


@router.get("/api/project")
def project(place: ChosenPlace) -> dict[str, Any]:
    """Return the names of project and environment, and where it tracks to."""
    return place.reader.project_facts()


@router.get("/api/models")
def models(place: ChosenPlace) -> list[dict[str, Any]]:
    """Return the registered models."""
    return place.reader.models()


@router.get("/api/versions")
def versions(place: ChosenPlace, model: str) -> list[dict[str, Any]]:
    """Return the newest versions of a model."""
    return place.reader.versions(model)


@router.get("/api/endpoints")
def endpoints(place: ChosenPlace) -> list[dict[str, Any]]:
    """Return the endpoints with their health."""
    return with_health(place.reader.endpoints())


@router.get("/api/runs")
def runs(place: ChosenPlace, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
    """Return the newest runs."""
    return place.reader.runs(limit)


def _card(request: Request, dag_id: str, run_id: str, task_id: str, map_index: str = "-1") -> Card:
    # Airflow leaves its placeholder where a task is not mapped.
    index = int(map_index) if map_index.isdigit() else -1
    found = card_of(TaskKey(dag_id, run_id, task_id, index))
    if found is None:
        raise HTTPException(404, "there is no such task instance")
    request.state.place = found.place
    return found


ChosenCard = Annotated[Card, Depends(_card)]
MaySeeResults = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))


@router.get("/api/card", dependencies=[MaySeeResults])
def card(card: ChosenCard) -> dict[str, Any]:
    """Return what a task has published."""
    return card.as_json()


@router.get("/api/card/model", dependencies=[MaySeeResults])
def card_with_model(card: ChosenCard) -> dict[str, Any] | None:
    """Return the model version behind what a task has published."""
    return model_card(card)


def _file(name: str, kind: str) -> Response:
    content = (files("modelyard.airflow.ui") / "files" / name).read_bytes()
    return Response(content, media_type=f"{kind}; charset=utf-8", headers=_HEADERS)
