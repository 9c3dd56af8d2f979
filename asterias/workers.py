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
    """Open a pool of worker processes that end with the block.

    Where the block is left by an exception, they get SIGTERM and are not waited for.

    Args:
        count: number of processes.
        context: how they are started.
        begin: first call in each of them, such as one that ignores SIGINT.
        arguments: of ``begin``.

    Yields:
        The pool.
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
