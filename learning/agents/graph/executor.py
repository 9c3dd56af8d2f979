"""Running a graph: independent nodes at once, time-outs, cancel, and a record of everything."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from learning.agents.graph.graph import Graph, Node, Routine
from learning.agents.graph.run_trace import RunRecord, Step
from learning.agents.messages import (
    AgentError,
    Answer,
    Failure,
    FailureKind,
    Message,
    Outcome,
    Task,
)

OnStep = Callable[[Step], None]


class Stop:
    """Ends a run from any thread; nodes that have not answered are then ``canceled``."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self._is_set = False

    def set(self) -> None:
        """End the run; harmless before its start and after its end."""
        self._is_set = True
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._event.set)

    async def wait(self) -> None:
        """Wait in the run's loop until set."""
        self._loop = asyncio.get_running_loop()
        if not self._is_set:
            await self._event.wait()


def blocking(function: Callable[[Task, Sequence[Message]], Answer]) -> Routine:
    """Return a routine that calls a blocking function in a thread; a time-out leaves it behind."""

    @functools.wraps(function)
    async def routine(task: Task, inputs: Sequence[Message]) -> Answer:
        # A daemon thread of its own: at its end, an event loop waits for those of its pool.
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Answer] = loop.create_future()

        def work() -> None:
            done: Callable[[], None]
            try:
                done = functools.partial(_settle, result, function(task, inputs), None)
            except Exception as error:
                done = functools.partial(_settle, result, None, error)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(done)

        threading.Thread(target=work, name="routine", daemon=True).start()
        return await result

    return routine


def _settle(future: asyncio.Future[Answer], value: Answer | None, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    elif value is not None:
        future.set_result(value)


async def run(
    graph: Graph,
    task: Task,
    *,
    name: str = "graph",
    timeout_s: float | None = None,
    stop: Stop | None = None,
    on_step: OnStep | None = None,
) -> RunRecord:
    """Run the nodes on paths to the output, each once all its predecessors have ended.

    Args:
        graph: who speaks, and who hears whom.
        task: given to every node.
        name: of the graph, for the record.
        timeout_s: for the whole run; what has not answered by then fails with ``timeout``.
        stop: cancels the run.
        on_step: hears of each node as it ends.

    Returns:
        The record of the run.
    """
    return await _Run(graph, task, name, on_step).run(timeout_s, stop)


def answer(graph: Graph, task: Task, **options: Any) -> RunRecord:
    """Return what :func:`run` returns, for callers without an event loop."""
    return asyncio.run(run(graph, task, **options))


class _Run:
    def __init__(self, graph: Graph, task: Task, name: str, on_step: OnStep | None) -> None:
        self._graph, self._task, self._name, self._on_step = graph, task, name, on_step
        self._started_s = time.perf_counter()
        self._ending: Failure | None = None
        self._steps: list[Step] = []
        self._nodes: dict[str, asyncio.Task[Outcome]] = {}

    async def run(self, timeout_s: float | None, stop: Stop | None) -> RunRecord:
        for name in self._graph.order:
            if name in self._graph.needed:
                self._nodes[name] = asyncio.ensure_future(self._turn(self._graph.node(name)))
        work = list(self._nodes.values())
        waiter = asyncio.ensure_future(stop.wait()) if stop is not None else None
        try:
            await self._wait(work, waiter, timeout_s)
        finally:
            for one in work if waiter is None else [*work, waiter]:
                one.cancel()
        if self._ending is not None:
            # The cancelled nodes still have to say how they ended.
            await asyncio.wait(work)
        return self._record()

    async def _wait(
        self,
        work: list[asyncio.Task[Outcome]],
        waiter: asyncio.Task[None] | None,
        timeout_s: float | None,
    ) -> None:
        finished = asyncio.gather(*work)
        awaited: list[asyncio.Future[Any]] = [finished] if waiter is None else [finished, waiter]
        await asyncio.wait(awaited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if finished.done():
            return
        if waiter is not None and waiter.done():
            self._ending = Failure(FailureKind.CANCELED, "The run was canceled.")
        else:
            text = f"The whole run took longer than {timeout_s:g} s."
            self._ending = Failure(FailureKind.TIMEOUT, text)
        finished.cancel()

    async def _turn(self, node: Node) -> Outcome:
        """Wait for a node's predecessors, then for its answer.

        Returns:
            The answer or the failure.

        Raises:
            CancelledError: the run is cancelled.
        """
        sources = self._graph.predecessors[node.name]
        started_s = time.perf_counter()
        try:
            for source in sources:
                if not self._nodes[source].done():
                    await asyncio.wait([self._nodes[source]])
            inputs = tuple(Message(source, self._nodes[source].result()) for source in sources)
            started_s = time.perf_counter()
            outcome = await _outcome(node, self._task, inputs)
        except asyncio.CancelledError:
            if self._ending is None:
                raise
            outcome = self._ending
        self._keep(node, sources, outcome, started_s)
        return outcome

    def _keep(
        self, node: Node, sources: tuple[str, ...], outcome: Outcome, started_s: float
    ) -> None:
        now_s = time.perf_counter()
        step = Step(
            node.name,
            node.kind,
            sources,
            outcome,
            round(started_s - self._started_s, 6),
            round(now_s - self._started_s, 6),
        )
        self._steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    def _record(self) -> RunRecord:
        graph = self._graph
        return RunRecord(
            graph=self._name,
            task=self._task.text,
            output=graph.output,
            edges=tuple(sorted(graph.edges)),
            steps=tuple(self._steps),
            skipped=tuple(node.name for node in graph.nodes if node.name not in graph.needed),
            duration_s=round(time.perf_counter() - self._started_s, 6),
        )


async def _outcome(node: Node, task: Task, inputs: tuple[Message, ...]) -> Outcome:
    """Return a node's answer, or why there is none.

    Raises:
        CancelledError: the run is cancelled.
    """
    late = _Deadline(node.timeout_s)
    try:
        return await node.routine(task, inputs)
    except asyncio.CancelledError:
        if not late.has_passed:
            raise
        text = f"'{node.name}' did not answer within {node.timeout_s:g} s."
        return Failure(FailureKind.TIMEOUT, text)
    except AgentError as error:
        return error.failure
    except Exception as error:
        return Failure(FailureKind.ERROR, f"'{node.name}' failed: {error!r}")
    finally:
        late.release()


class _Deadline:
    """Cancels the present task after a while; ``asyncio.wait_for`` would need one more task."""

    def __init__(self, timeout_s: float) -> None:
        self.has_passed = False
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._pass)

    def _pass(self) -> None:
        self.has_passed = True
        if self._task is not None:
            self._task.cancel()

    def release(self) -> None:
        self._timer.cancel()
