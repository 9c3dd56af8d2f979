"""Options of commands that run many jobs."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated

import tyro

from asterias.errors import UserError
from asterias.jobs import local, ray_cluster  # noqa: F401  they register
from asterias.jobs.runner import JOB_RUNNERS, JobRunner, RunnerSettings


@dataclass(frozen=True)
class JobOptions:
    """Where jobs run."""

    on: Annotated[
        str,
        tyro.conf.arg(
            help=f"Where: one of {', '.join(JOB_RUNNERS.names())}; local is this machine, ray a "
            "Ray cluster (extra ray)."
        ),
    ] = "local"
    parallel: int | None = None
    """At a time; by default 1 on this machine, and as many as a cluster has cores."""
    ray_address: str = ""
    """Of the cluster's head, such as 10.0.0.1:6379. By default the one that runs here is joined;
    where none does, one is started."""

    def check(self) -> None:
        """Check the options.

        Raises:
            UserError: one cannot be used.
        """
        JOB_RUNNERS.get(self.on)
        if self.parallel is not None and self.parallel < 1:
            raise UserError("--parallel must be 1 or more.")
        if self.ray_address and self.on != "ray":
            raise UserError("--ray-address is for --on ray.")
        if self.on == "ray":
            ray_cluster.import_ray()

    def open(
        self, here: int = 1, preload: tuple[str, ...] = ()
    ) -> AbstractContextManager[JobRunner]:
        """Open the runner of jobs.

        Args:
            here: jobs at a time on this machine, where ``parallel`` does not say.
            preload: modules that workers of this machine import once.

        Returns:
            The runner, for a with statement.
        """
        self.check()
        parallel = here if self.parallel is None and self.on == "local" else self.parallel
        settings = RunnerSettings(parallel, self.ray_address, preload)
        return JOB_RUNNERS.get(self.on)(settings)
