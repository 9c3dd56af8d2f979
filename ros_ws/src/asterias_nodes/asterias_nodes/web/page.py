"""The page: what stands where. Pictures, limbs and controls are drawn by ``static/live.js``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from html import escape
from pathlib import Path

from fastapi import FastAPI, Response, WebSocket
from fastapi.staticfiles import StaticFiles
from nicegui import ui

from asterias_nodes.web import panels
from asterias_nodes.web.live import LiveHub
from asterias_nodes.web.panels import PageModel
from asterias_nodes.web.plot_panel import plot_panel
from asterias_nodes.web.scene.robot_scene import SKIN_URL, robot_scene

STATIC = Path(__file__).parent / "static"
REFRESH_S = 0.4
# Of black, before the dark page.
LIFT = 0.12


def make_app(model: PageModel, hub: LiveHub, shows_faults: bool) -> FastAPI:
    """Return the ASGI app: the page, its files, and the live channel at ``/live``.

    Args:
        model: what the page shows and does.
        hub: serves the live channel.
        shows_faults: whether there is a panel that injects faults.
    """
    app = FastAPI(title="Asterias", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @cache
    def skins() -> bytes:
        # The compiled loops beside it take a second to import: only where a page is opened.
        from sim.rendering.raster.skin_file import PAGE, skinned_glb

        return skinned_glb(model.robot, PAGE, is_upright=False, lift=LIFT)

    @app.get(SKIN_URL)
    def robot_file() -> Response:
        return Response(skins(), media_type="model/gltf-binary")

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await hub.serve(socket)

    @ui.page("/", title=f"Asterias: {model.robot.name}", dark=True)
    def index() -> None:
        _build(model, shows_faults)

    ui.run_with(
        app,
        dark=True,
        show_welcome_message=False,
        favicon="\U0001f31f",
        # A page that comes back within this time (a phone in a pocket) is not loaded anew.
        reconnect_timeout=30.0,
    )
    return app


def _build(model: PageModel, shows_faults: bool) -> None:
    ui.add_head_html('<link rel="stylesheet" href="/static/live.css">')
    ui.add_body_html('<script src="/static/live.js"></script>')
    with ui.header().classes("bar"):
        _static("bar", robot=model.robot.name).classes("bar-in")
    refreshers: list[Callable[[], None]] = []
    with ui.element("main").classes("layout"):
        with ui.element("div").classes("column look"):
            with _panel("Cameras"):
                ui.html('<div id="tiles"></div>', sanitize=False)
            with _panel("Limb"):
                words = "The robot, drawn; drag to turn"
                with ui.element("div").props(f'id="limb" aria-label="{words}"'):
                    robot_scene(model.robot, model.frames)
                _static("limb")
        with ui.element("div").classes("column work"):
            with _panel("Drive"):
                _static("drive")
            with _panel("Record"):
                refreshers.append(panels.record_panel(model))
        with ui.element("div").classes("column more"):
            with _panel("Actions"):
                refreshers.append(panels.action_panel(model))
            with _panel("Health"):
                refreshers.append(panels.health_panel(model))
            with _panel("Plots"):
                plot_panel(model)
            if shows_faults:
                with _panel("Faults"):
                    panels.fault_panel(model)
    _static("foot")
    ui.timer(REFRESH_S, lambda: [refresh() for refresh in refreshers])


def _static(name: str, **texts: str) -> ui.html:
    """Return an element that ``live.js`` fills."""
    content = (STATIC / f"{name}.html").read_text(encoding="utf-8")
    for key, text in texts.items():
        content = content.replace(f"<!-- {key} -->", escape(text))
    return ui.html(content, sanitize=False)


def _panel(title: str) -> ui.element:
    panel = ui.element("section").classes("panel").props(f'aria-label="{title}"')
    with panel:
        ui.html(title, tag="h2")
    return panel
