"""Registries: what can be chosen by name, of this house and of installed packages."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Generic, TypeVar, overload

from asterias.errors import UserError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


class Registry(Generic[T]):
    """Things of one kind by name, in the order of registration.

    Entry points of installed packages are added when somebody first asks, after our own and in
    the order of their names. A plug-in that cannot be loaded, or that takes a name which is
    given already, is named in one logged sentence and skipped.

    Args:
        kind: what is registered, as messages call it, such as "servo family".
        entry_point_group: group of the entry points that add to it, such as
            ``asterias.servo_families``; None takes none.
        check: called with the name and the loaded object of each entry point; raises when it
            is not what this registry holds.
    """

    def __init__(
        self,
        kind: str,
        entry_point_group: str | None = None,
        check: Callable[[str, object], None] | None = None,
    ) -> None:
        self.kind = kind
        self.entry_point_group = entry_point_group
        self._check = check
        self._entries: dict[str, T] = {}
        self._plugins_loaded = entry_point_group is None

    @overload
    def register(self, name: str, entry: T) -> T: ...

    @overload
    def register(self, name: str) -> Callable[[T], T]: ...

    def register(self, name: str, entry: T | None = None) -> T | Callable[[T], T]:
        """Add an entry, or return a decorator that adds what it decorates.

        A name that is given already is a ValueError.

        Returns:
            The entry; with the name alone, the decorator.
        """
        if entry is not None:
            return self._add(name, entry)
        return lambda decorated: self._add(name, decorated)

    def names(self) -> tuple[str, ...]:
        """Return all names, our own first."""
        return tuple(self._loaded())

    def items(self) -> tuple[tuple[str, T], ...]:
        """Return all names with their entries, our own first."""
        return tuple(self._loaded().items())

    def get(self, name: str) -> T:
        """Return the entry of that name.

        Raises:
            UserError: there is none; the message lists the names and suggests the nearest.
        """
        entries = self._loaded()
        if name in entries:
            return entries[name]
        near = difflib.get_close_matches(str(name), entries, n=1)
        suggestion = f"; did you mean {near[0]}?" if near else "."
        known = ", ".join(entries) or "none"
        raise UserError(f"There is no {self.kind} {name!r} (known: {known}){suggestion}")

    def __contains__(self, name: object) -> bool:
        return name in self._loaded()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())

    def _add(self, name: str, entry: T) -> T:
        if name in self._entries:
            raise ValueError(f"There are two of {self.kind} {name!r}; give one another name.")
        self._entries[name] = entry
        return entry

    def _loaded(self) -> dict[str, T]:
        if not self._plugins_loaded:
            # First, since a plug-in may ask this registry while it is imported.
            self._plugins_loaded = True
            found = metadata.entry_points(group=self.entry_point_group or "")
            for point in sorted(found, key=lambda point: (point.name, point.value)):
                self._load(point)
        return self._entries

    def _load(self, point: metadata.EntryPoint) -> None:
        try:
            entry = point.load()
            if self._check is not None:
                self._check(point.name, entry)
            self._add(point.name, entry)
        except Exception as error:
            # Whatever a stranger's package does must not stop the house.
            reason = " ".join(str(error).split()) or type(error).__name__
            package = point.dist.name if point.dist is not None else point.value
            _LOG.warning(
                "The %s %r of the package %s is left out: %s: %s",
                *(self.kind, point.name, package, type(error).__name__, reason),
            )
