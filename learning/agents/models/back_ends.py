"""Back ends by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asterias.errors import UserError
from learning.agents.models.model import Model
from learning.agents.models.recording import RecordingModel, ReplayModel
from learning.agents.models.server import ServerModel, ServerOptions

Backend = Literal["scripted", "openai", "replay"]
BACKENDS: tuple[Backend, ...] = ("scripted", "openai", "replay")


@dataclass(frozen=True)
class BackendOptions:
    """Who speaks."""

    backend: Backend = "scripted"
    """scripted: rules, offline; openai: a server; replay: recorded traffic."""
    server: ServerOptions = field(default_factory=ServerOptions)
    """The server of the openai back end."""
    traffic: Path | None = None
    """File of traffic: read by replay, written by openai."""


def make_model(options: BackendOptions) -> Model | None:
    """Return the model; None for scripted, where each member has rules of its own.

    Raises:
        UserError: replay without a file, or with one that is no recorded traffic.
    """
    if options.backend == "scripted":
        return None
    if options.backend == "replay":
        if options.traffic is None:
            raise UserError("The back end replay needs a file of traffic.")
        return ReplayModel(options.traffic)
    server = ServerModel(options.server)
    return server if options.traffic is None else RecordingModel(server, options.traffic)
