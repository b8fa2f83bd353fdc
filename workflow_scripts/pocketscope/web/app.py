"""The addresses of the desk: what a page asks for, and what a person does on it."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from pocketscope.core.errors import InputError
from pocketscope.core.stack_pages import WORDS, is_known
from pocketscope.web import project as projects
from pocketscope.web.desk import Desk
from pocketscope.web.events import Events
from pocketscope.web.guard import OF_REPORT, Guard
from pocketscope.web.labels import Overtaken
from pocketscope.web.sent import Change, Export, Label, Open, Run, Sent, SetAside, TakePage, Toured, Turn
from pocketscope.web.study import Study
from pocketscope.web.wizard import Choice

STATIC = Path(__file__).parent / "static"
MOST_OF_WINDOW = 40  # characters of a window's name
MOST_BYTES_OF_TABLE = 64 * 2**20
MOST_BYTES = 8 * 2**20  # of what a page sends: the numbers of a hundred thousand images, and some
FOREVER = "private, max-age=31536000, immutable"


class Server:
    """The desk's application: at most one project is open in it.

    Parameters
    ----------
    secret, hosts
        See `guard.Guard`.
    who
        The person, as labels name them.
    kept_in
        The folder of projects.
    """

    def __init__(self, secret: str, hosts: list[str], who: str, kept_in: Path | None = None) -> None:
        self.who, self.kept_in = who, kept_in
        self.events = Events()
        self.desk: Desk | None = None
        routes = [
            Route("/", self._page),
            Route("/api/state", self._state),
            Route("/api/events", self._events),
            Route("/api/label", self._doing(Label, self._label), methods=["POST"]),
            Route("/api/turn", self._doing(Turn, self._turn), methods=["POST"]),
            Route("/api/category", self._doing(Change, self._change), methods=["POST"]),
            Route("/api/take-table", self._table, methods=["POST"]),
            Route("/api/take-folders", self._doing(Sent, self._take_folders), methods=["POST"]),
            Route("/api/exam", self._doing(SetAside, self._exam), methods=["POST"]),
            Route("/api/export", self._doing(Export, lambda sent: self.desk.study.export(sent.kind)), methods=["POST"]),
            Route("/api/run", self._doing(Run, self._run), methods=["POST"]),
            Route("/api/suggestions", self._answering(lambda desk, _: desk.suggestions.now())),
            Route("/api/enough", self._answering(lambda desk, _: desk.suggestions.enough())),
            Route("/api/similar/{number:int}", self._answering(_similar)),
            Route("/api/results", self._answering(lambda desk, _: desk.study.results() | desk.study.counts())),
            Route("/api/tested", self._answering(lambda desk, _: desk.study.answered())),
            Route("/report/{file:path}", self._report),
            Route("/take/labelled-images.zip", self._labelled_images),
            Route("/take/study.zip", self._elsewhere),
            Route("/take/exports/{name}", self._take_export),
            Route("/take/{name}", self._take),
            Route("/api/page", self._doing(TakePage, self._page_of_stacks), methods=["POST"]),
            Route("/api/tour", self._doing(Toured, self._toured), methods=["POST"]),
            Route("/api/projects", self._projects),
            Route("/api/folders", self._folders),
            Route("/api/open", self._which, methods=["GET"]),
            Route("/api/open", self._doing(Open, self._open, project=False), methods=["POST"]),
            Route("/thumbnail/{number:int}/{version}", self._thumbnail),
            Route("/picture/{number:int}/{version}", self._picture),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        self.app = Guard(Starlette(routes=routes, lifespan=self._life), secret, hosts)

    def open(self, project: projects.Project) -> None:
        """Open a project, and close the one that was open."""
        if self.desk is not None:
            self.desk.close()
        self.desk = Desk(project, self.who, self.events)
        self.desk.start()

    @contextlib.asynccontextmanager
    async def _life(self, _: Starlette) -> AsyncIterator[None]:
        self.events.begin()
        yield
        if self.desk is not None:
            await run_in_threadpool(self.desk.close)

    # ---- pages and pictures

    async def _page(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    async def _state(self, _: Request) -> Response:
        if self.desk is None:
            return JSONResponse({"project": None})
        return JSONResponse(await run_in_threadpool(self.desk.state) | {"tour": not projects.toured(self.kept_in)})

    async def _events(self, request: Request) -> Response:
        window = request.query_params.get("window", "")[:MOST_OF_WINDOW]
        return StreamingResponse(self.events.listen(window), media_type="text/event-stream")

    async def _thumbnail(self, request: Request) -> Response:
        return await self._image(request, lambda desk, number: desk.index.thumbnail(number), "image/webp")

    async def _picture(self, request: Request) -> Response:
        return await self._image(request, lambda desk, number: desk.index.picture(number), "image/jpeg")

    async def _image(self, request: Request, made: Callable[[Desk, int], bytes | None], kind: str) -> Response:
        number = request.path_params["number"]
        if self.desk is None or number >= len(self.desk.index.paths):
            return Response(status_code=404)
        data = await run_in_threadpool(made, self.desk, number)
        if data is None:
            return Response(status_code=410 if number in self.desk.index.gone else 415)
        return Response(data, media_type=kind, headers={"Cache-Control": FOREVER})

    def _answering(self, answer: Callable[[Desk, Request], Any]) -> Callable:
        """Return the endpoint that answers in JSON, in a thread."""

        async def endpoint(request: Request) -> Response:
            if self.desk is None:
                return JSONResponse({"error": "no project is open"}, 409)
            try:
                return JSONResponse(await run_in_threadpool(answer, self.desk, request))
            except InputError as error:
                return JSONResponse({"error": str(error)}, 422)

        return endpoint

    async def _report(self, request: Request) -> Response:
        if self.desk is None:
            return Response(status_code=404)
        page = self.desk.study.report()
        wanted = (page.parent / (request.path_params["file"] or page.name)).resolve()
        if not (wanted.is_file() and wanted.is_relative_to(page.parent.resolve())):
            return Response(status_code=404)
        return FileResponse(wanted, headers={"Content-Security-Policy": OF_REPORT})

    async def _take(self, request: Request) -> Response:
        path = self.desk and self.desk.study.shipped(request.path_params["name"])
        if not path or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, filename=path.name)  # to be saved, and never shown as a page of the desk

    async def _take_export(self, request: Request) -> Response:
        path = self.desk and self.desk.project.home / "exports" / request.path_params["name"]
        if not path or path.suffix != ".zip" or path.name.startswith(".") or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, filename=path.name)

    async def _labelled_images(self, _: Request) -> Response:
        return await self._archive("labelled-images.zip", lambda study: study.labelled_images())

    async def _elsewhere(self, request: Request) -> Response:
        try:
            choice = Choice.model_validate_json(request.query_params.get("choice", "{}"))
        except ValidationError as error:
            return JSONResponse({"error": f"choice: {error.errors()[0]['msg']}"}, 400)
        return await self._archive("study.zip", lambda study: study.elsewhere(choice))

    async def _archive(self, name: str, made: Callable[[Study], Iterator[bytes]]) -> Response:
        if self.desk is None:
            return Response(status_code=404)
        try:
            pieces = await run_in_threadpool(made, self.desk.study)
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    # ---- what a person does

    def _doing(self, kind: type[BaseModel], done: Callable[..., Any], *, project: bool = True) -> Callable:
        """Return the endpoint that reads a request of a kind, does it in a thread, and answers in JSON."""

        async def endpoint(request: Request) -> Response:
            if (body := await _body(request, MOST_BYTES)) is None:
                return JSONResponse({"error": "too much at once"}, 413)
            try:
                sent = kind.model_validate_json(body)
            except ValidationError as error:
                return JSONResponse({"error": f"{kind.__name__}: {error.errors()[0]['msg']}"}, 400)
            if project and self.desk is None:
                return JSONResponse({"error": "no project is open"}, 409)
            try:
                return JSONResponse(await run_in_threadpool(done, sent))
            except Overtaken as error:
                lines = [[n, self.desk.labels.category_of(n)] for n in error.numbers]
                return JSONResponse({"error": f"{error}.", "overtaken": lines}, 409)
            except InputError as error:
                return JSONResponse({"error": str(error)}, 422)

        return endpoint

    def _label(self, sent: Label) -> dict[str, Any]:
        desk = self.desk
        there = range(len(desk.index.paths))
        each = sent.category if isinstance(sent.category, list) else [sent.category] * len(sent.images)
        whole = len(sent.seen) == len(each) == len(sent.images)
        if not whole or not all(number in there for number in sent.images):
            raise InputError("the page and the desk do not mean the same images; load the page anew")
        seen = dict(zip(sent.images, sent.seen, strict=True))
        shown = {*sent.guess_shown, *desk.study.not_blind(sent.images)}
        category = dict(zip(sent.images, each, strict=True))
        lines = desk.labels.label(sent.request, sent.images, category, seen=seen, guess_shown=shown)
        desk.suggestions.again()
        self.events.tell("labelled", labels=lines, request=sent.request)
        return {"labels": lines}

    def _turn(self, sent: Turn) -> dict[str, Any]:
        window, _, _ = sent.request.partition(".")  # requests begin with the window that sends them
        done = self.desk.labels.turn(sent.request, sent.redo, self.events.windows() - {window, ""})
        if done:
            self.desk.tell_labels()
        return {"done": done is not None, "what": done}

    def _change(self, sent: Change) -> dict[str, Any]:
        body = sent.model_dump(exclude={"request", "what", "value"}, exclude_none=True)
        if sent.name is not None:
            body["name"] = " ".join(sent.name.split())  # one line
        if sent.what in ("colour", "key"):
            body[sent.what] = sent.value
        self.desk.labels.change(sent.request, sent.what, **body)
        self.desk.tell_labels()
        return {"categories": self.desk.labels.as_json()}

    async def _table(self, request: Request) -> Response:
        if self.desk is None:
            return JSONResponse({"error": "no project is open"}, 409)
        if (content := await _body(request, MOST_BYTES_OF_TABLE)) is None:
            return JSONResponse({"error": "the table is too large; use `pocketscope label --from`"}, 413)
        name = request.query_params.get("name", "table.csv")
        try:
            return JSONResponse(await run_in_threadpool(self.desk.take_table, name, content))
        except InputError as error:
            return JSONResponse({"error": str(error)}, 422)

    def _take_folders(self, sent: Sent) -> dict[str, Any]:
        return self.desk.take_folders(sent.request)

    def _exam(self, sent: SetAside) -> dict[str, Any]:
        if sent.width is None:
            self.desk.study.without_exam()
            found = {}
        else:
            found = self.desk.study.set_exam(sent.request, sent.width, sent.by_folder, sent.labelled_too)
            self.desk.tell_labels()
        self.events.tell("asked", asked=self.desk.study.asked())
        return found

    def _run(self, sent: Run) -> dict[str, Any]:
        study = self.desk.study
        match sent.kind:
            case "features":
                study.look(sent.choice)
            case "study":
                study.train(sent.choice)
            case "report":
                study.compare()
            case "preview":
                return {"text": study.text(sent.choice)}
            case "estimate":
                return study.estimate(sent.choice)
            case "stop":
                study.runs.stop()
        return {"now": study.runs.now}

    def _toured(self, _: Toured) -> dict[str, Any]:
        return {"seen": projects.set_toured(self.kept_in)}

    # ---- which project

    async def _projects(self, _: Request) -> Response:
        return JSONResponse(await run_in_threadpool(projects.recent, self.kept_in))

    async def _which(self, _: Request) -> Response:
        """Say which project is open: a second `pocketscope open` of it asks."""
        return JSONResponse({"home": self.desk and str(self.desk.project.home)})

    async def _folders(self, request: Request) -> Response:
        return await run_in_threadpool(_folders_in, request.query_params.get("of", ""))

    def _open(self, sent: Open) -> dict[str, Any]:
        project = projects.open_project(sent.folder, self.kept_in)
        if self.desk is None or self.desk.project.home != project.home:
            self.open(project)
            self.events.tell("reload")
        return {"name": project.name}

    def _page_of_stacks(self, sent: TakePage) -> dict[str, Any]:
        project = self.desk.project
        if not is_known(sent.page):
            raise InputError(f"{sent.page!r} is no page: give its number, from 0, or one of {', '.join(WORDS)}")
        if self.desk.study.runs.running:
            raise InputError("a run is going on, with the images as they are now; wait for its end, or stop it")
        projects.write(project, page=sent.page)
        self.open(dataclasses.replace(project, page=sent.page))
        self.events.tell("reload")
        return {"page": sent.page}


async def _body(request: Request, most: int) -> bytes | None:
    """Return what was sent; None where it is more than `most` bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


def _similar(desk: Desk, request: Request) -> list[list[float]]:
    number = request.path_params["number"]
    if number >= len(desk.index.paths):
        raise InputError("there is no such image; load the page anew")
    return desk.suggestions.similar(number)


def _folders_in(asked: str) -> Response:
    """List the folders of a folder, for the chooser: names alone, nothing of what is in them."""
    place = Path(asked).expanduser() if asked else Path.home()
    try:
        inside = sorted(
            (one.name for one in place.iterdir() if one.is_dir() and not one.name.startswith(".")), key=str.casefold
        )
    except OSError as error:
        return JSONResponse({"error": f"{place}: {error.strerror}"}, 422)
    return JSONResponse({"folder": str(place.resolve()), "above": str(place.resolve().parent), "folders": inside})
