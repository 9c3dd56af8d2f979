"""Make our environments known to Gymnasium as soon as it is imported.

Gymnasium below 1.0 called the entry points of the group ``gymnasium.envs`` of every installed
package (``load_plugin_envs`` in its registration.py). Version 1.0 and later call none of them, so
that ``gymnasium.make`` knows an environment only after its package was imported. An installation
of this package therefore brings ``asterias_gymnasium.pth``, which calls :func:`install` when Python
starts; the entry points of this package, and of no other, are called after ``gymnasium.envs`` is
loaded. Nothing is imported for it before that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

PACKAGE = "asterias"
GROUP = "gymnasium.envs"


def install() -> None:
    """Wait for Gymnasium; a second call does nothing."""
    if GROUP not in sys.modules and not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def register() -> None:
    """Call this package's entry points; what goes wrong is logged, and stops nobody's import."""
    import logging
    from importlib import metadata

    try:
        for point in metadata.distribution(PACKAGE).entry_points.select(group=GROUP):
            # A module that is just being imported, and has imported Gymnasium, registers by itself.
            if point.module not in sys.modules:
                point.load()()
    except Exception as error:
        logging.getLogger(__name__).warning(
            "The environments of %s are not registered: %s: %s",
            PACKAGE,
            type(error).__name__,
            error,
        )


class _Finder:
    """Finds ``gymnasium.envs`` as Python would, and has :func:`register` called after it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec, with a loader that calls :func:`register` at its end."""
        if name != GROUP:
            return None
        sys.meta_path[:] = [one for one in sys.meta_path if one is not self]
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                register()

            # The loader is this module's alone.
            vars(spec.loader)["exec_module"] = load_and_register
        return spec
