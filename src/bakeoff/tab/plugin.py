"""What TensorBoard loads: the routes of the tab, and whether it is shown.

The tab reads the event files of the logdir itself: TensorBoard's data provider gives at most 1,000 points of a curve,
drawn at random, and its numbers would not be those of the runs.
"""

from __future__ import annotations

import json
import mimetypes
import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from tensorboard.backend import http_util
from tensorboard.plugins.base_plugin import FrontendMetadata, TBContext, TBPlugin
from werkzeug import Request, Response

from bakeoff.errors import UserError
from bakeoff.report.measures_json import curves_json, seeds_json, table_json
from bakeoff.report.reader import Snapshot, SweepReader, find_sweeps, sweep_title
from bakeoff.report.records import run_folders
from bakeoff.report.sweep_json import runs_json, sweep_json

Route = Callable[[Request], Response]
STATIC = Path(str(resources.files("bakeoff.tab"))) / "static"


class BakeoffPlugin(TBPlugin):
    """The tab "bakeoff", shown where the logdir holds sweeps of ours."""

    plugin_name = "bakeoff"

    def __init__(self, context: TBContext) -> None:
        self._logdir = Path(os.path.expanduser(context.logdir)) if context.logdir else None
        self._reader = SweepReader()

    def is_active(self) -> bool:
        """Whether there is a sweep at or below the logdir."""
        return bool(self._sweeps())

    def frontend_metadata(self) -> FrontendMetadata:
        """The page reloads by itself, and only what has changed."""
        return FrontendMetadata(es_module_path="/index.js", tab_name="bakeoff", disable_reload=True)

    def get_plugin_apps(self) -> dict[str, Any]:
        """Route -> application: the page's files, and the data that it asks for."""
        data: Mapping[str, Callable[[Request], Any]] = {
            "/sweeps": lambda request: self._list(),
            "/version": lambda request: {"version": self._reader.version(self._folder(request))},
            "/sweep": self._sweep,
            "/table": lambda r: table_json(self._snapshot(r), _get(r, "metric"), r.args.get("value", "final")),
            "/curves": self._curves,
            "/seeds": self._seeds,
            "/runs": lambda r: runs_json(self._snapshot(r), self._reader, r.args.getlist("arm"), _get(r, "sweep")),
        }
        files = {f"/{path.relative_to(STATIC).as_posix()}": _file(path) for path in STATIC.rglob("*") if path.is_file()}
        return {route: Request.application(app) for route, app in files.items()} | {
            route: Request.application(_json(answer)) for route, answer in data.items()
        }

    def _sweeps(self) -> dict[str, Path]:
        return find_sweeps(self._logdir) if self._logdir and self._logdir.is_dir() else {}

    def _list(self) -> Any:
        found = [
            {"name": name, "title": sweep_title(folder, name), "runs": len(run_folders(folder))}
            for name, folder in self._sweeps().items()
        ]
        return {"sweeps": found}

    def _folder(self, request: Request) -> Path:
        name, found = _get(request, "sweep"), self._sweeps()
        if name not in found:  # also a path out of the logdir
            raise UserError(f"no sweep {name} in this logdir")
        return found[name]

    def _snapshot(self, request: Request) -> Snapshot:
        return self._reader.snapshot(self._folder(request))

    def _sweep(self, request: Request) -> Any:
        name, snapshot = _get(request, "sweep"), self._snapshot(request)
        return sweep_json(snapshot, self._reader, name, sweep_title(snapshot.folder, name))

    def _curves(self, request: Request) -> Any:
        axis = request.args.get("axis", "steps")
        return curves_json(self._snapshot(request), self._reader, _get(request, "metric"), axis)

    def _seeds(self, request: Request) -> Any:
        metric, axis, arms = _get(request, "metric"), request.args.get("axis", "steps"), request.args.getlist("arm")
        return seeds_json(self._snapshot(request), self._reader, metric, axis, arms, _get(request, "sweep"))


def _get(request: Request, name: str) -> str:
    value = request.args.get(name)
    if value is None:
        raise UserError(f"{name}=... is missing")
    return value


def _json(answer: Callable[[Request], Any]) -> Route:
    def respond(request: Request) -> Response:
        try:
            content, code = answer(request), 200
        except UserError as error:
            content, code = {"error": str(error)}, 400
        # our own encoding: TensorBoard's walks through every number first
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        response: Response = http_util.Respond(request, text, "application/json", code=code)
        return response

    return respond


def _file(path: Path) -> Route:
    kind = {".js": "text/javascript", ".css": "text/css"}.get(path.suffix) or mimetypes.guess_type(path)[0]

    def respond(request: Request) -> Response:
        response: Response = http_util.Respond(request, path.read_bytes(), kind or "text/plain")
        return response

    return respond
