"""Worker processes of long work, which end with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from typing import Any


@contextmanager
def worker_pool(
    count: int, context: BaseContext, begin: Callable[..., None], *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool whose workers are told to end (SIGTERM) when the block is left by an exception.

    Args:
        count: processes.
        context: how they are started.
        begin: first thing that each of them does, such as not to hear of Ctrl-C.
        arguments: of ``begin``.
    """
    with ProcessPoolExecutor(count, context, begin, arguments) as pool:
        try:
            yield pool
        except BaseException:
            # Before the shutdown, which forgets them.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(cancel_futures=True)
            raise
