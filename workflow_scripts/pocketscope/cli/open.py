"""`pocketscope open`: the desk, in the browser."""

import argparse
import contextlib
import http.client
import json
import logging
import socket
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from pocketscope.core.errors import InputError
from pocketscope.runtime import access

if TYPE_CHECKING:
    from pocketscope.web.project import Project

HERE = "127.0.0.1"
PATIENCE = 2.0  # seconds for a desk that may be open already to say so


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command on `parser`."""
    parser.add_argument("folder", nargs="?", type=Path, help="the images; without it, the page asks for a folder")
    parser.add_argument(
        "--port", type=int, help="where to listen (default: where this project was last time, or a free port)"
    )
    parser.add_argument(
        "--host",
        default=HERE,
        help="an address of this machine, for browsers of other machines; whoever has the printed address can read the "
        "images and change labels, and it goes over the network in clear text (default: %(default)s)",
    )
    parser.add_argument("--projects", type=Path, help="where labels and results are kept (default: `projects`)")
    parser.add_argument("--who", help="who gives the labels (default: the name you are logged in by)")
    parser.add_argument("--no-browser", action="store_true", help="print the address alone")


def main(parsed: argparse.Namespace) -> None:
    """Serve the desk until Ctrl-C.

    Raises
    ------
    pocketscope.core.errors.InputError
        The folder is not there, the port is taken, or nothing can be written where projects are kept.
    """
    import uvicorn

    from pocketscope.web import guard
    from pocketscope.web import project as projects
    from pocketscope.web.app import Server

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    logging.getLogger("PIL").setLevel(logging.ERROR)
    project = projects.open_project(parsed.folder, parsed.projects) if parsed.folder else None
    if project and parsed.port is None and parsed.host == HERE and (address := _open_already(project)):
        print(f"The desk of this folder is open already:\n\ndesk     {address}", flush=True)
        if not parsed.no_browser:
            webbrowser.open(address)
        return
    listening = _listening(parsed.host, parsed.port, project and projects.about(project.home).get("port"))
    host, port = parsed.host, listening.getsockname()[1]
    named = f"[{host}]" if ":" in host else host
    hosts = {f"{name}:{port}" for name in (named, *(("localhost", HERE, "[::1]") if host == HERE else ()))}
    if host in ("0.0.0.0", "::"):  # all addresses of this machine: the names by which it can be reached
        hosts |= {
            f"{name}:{port}" for name in (socket.gethostname(), socket.getfqdn(), HERE, "localhost", *_addresses())
        }
        named = socket.getfqdn()
    secret = guard.secret_of(project and project.home / "secret")
    server = Server(secret, sorted(hosts), parsed.who or access.login(), parsed.projects)
    if project:
        projects.write(project, port=port)
        server.open(project)
        print(f"images   {project.folder}\nkept in  {project.home}")
    address = f"http://{named}:{port}/?token={secret}"
    print(f"desk     {address}\nCtrl-C ends it; labels are saved as they are given.", flush=True)
    if not parsed.no_browser:
        webbrowser.open(address)
    config = uvicorn.Config(server.app, log_level="error", timeout_graceful_shutdown=1, lifespan="on")

    class Running(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            server.events.end()  # pages listen without end, and would be waited for
            await super().shutdown(sockets)

    with contextlib.suppress(KeyboardInterrupt):
        Running(config).run(sockets=[listening])
    print("The desk is closed.", file=sys.stderr)


def _open_already(project: "Project") -> str | None:
    """Return the address of a desk of this machine that has the project open; None where there is none."""
    from pocketscope.web import guard
    from pocketscope.web import project as projects

    port, kept = projects.about(project.home).get("port"), project.home / "secret"
    if not isinstance(port, int) or not kept.is_file():
        return None
    secret = guard.secret_of(kept)
    cookie = {"Cookie": f"{guard.COOKIE}-{port}={secret}"}
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        connection = http.client.HTTPConnection(HERE, port, timeout=PATIENCE)
        connection.request("GET", "/api/open", headers=cookie)
        answer = connection.getresponse()
        if answer.status == 200 and json.loads(answer.read()).get("home") == str(project.home):
            return f"http://{HERE}:{port}/?token={secret}"
    return None


def _listening(host: str, port: int | None, usual: int | None) -> socket.socket:
    """Return a socket that listens: at the port asked for, else at the usual one, else at a free one."""
    if port is not None:
        return _bound(host, port)
    with contextlib.suppress(InputError):
        return _bound(host, usual or 0)
    return _bound(host, 0)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # the browser may be quicker than the server
    except (OSError, OverflowError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        listening.close()
        raise InputError(f"{host}:{port}: {reason}; leave --port out to take a free one") from error
    return listening


def _addresses() -> list[str]:
    try:
        return [about[4][0] for about in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:
        return []
