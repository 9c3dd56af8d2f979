"""Packages and their executables, read straight from the ament resource index.

The environment is a parameter because a launch file may change it with `<set_env>`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from asterias_ros2.errors import VerbError

PREFIX_PATH = "AMENT_PREFIX_PATH"
PACKAGE_MARKERS = Path("share/ament_index/resource_index/packages")
PACKAGE_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]+")  # REP 127


class PackageNotFoundError(VerbError):
    """No prefix on the search path holds the package."""


def packages(environment: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Return the prefix of each package; the first prefix on the search path wins."""
    found: dict[str, Path] = {}
    for prefix in _prefixes(environment):
        markers = prefix / PACKAGE_MARKERS
        if markers.is_dir():
            for marker in markers.iterdir():
                if not marker.name.startswith(".") and marker.is_file():
                    found.setdefault(marker.name, prefix)
    return found


def package_prefix(package: str, environment: Mapping[str, str] | None = None) -> Path:
    """Return the prefix a package is installed under.

    Raises:
        PackageNotFoundError: naming the package, close names and the cure.
    """
    if PACKAGE_NAME.fullmatch(package):
        for prefix in _prefixes(environment):
            if (prefix / PACKAGE_MARKERS / package).is_file():
                return prefix
    close = difflib.get_close_matches(package, packages(environment), n=1)
    hint = f"did you mean '{close[0]}'?" if close else "build it and source the setup file"
    raise PackageNotFoundError(f"package '{package}' not found on {PREFIX_PATH}; {hint}")


def package_share(package: str, environment: Mapping[str, str] | None = None) -> Path:
    """Return the share directory of a package."""
    return package_prefix(package, environment) / "share" / package


def executables(package: str, environment: Mapping[str, str] | None = None) -> list[Path]:
    """Return the executables of a package, sorted by folder and name."""
    found: list[Path] = []
    for folder, subfolders, names in os.walk(
        package_prefix(package, environment) / "lib" / package
    ):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        paths = (Path(folder, name) for name in sorted(names))
        found += [path for path in paths if os.access(path, os.X_OK)]
    return found


def executable(package: str, name: str, environment: Mapping[str, str] | None = None) -> Path:
    """Return the path of the executable a `<node>` names.

    A package that is not there is a PackageNotFoundError.

    Raises:
        VerbError: the package has no such executable; the message names those it has.
    """
    folder = package_prefix(package, environment) / "lib" / package
    path = folder / name
    if name and "/" not in name and path.is_file() and os.access(path, os.X_OK):
        return path
    others = ", ".join(found.name for found in executables(package, environment))
    raise VerbError(
        f"package '{package}' has no executable '{name}' in {folder}; "
        + (f"it has: {others}" if others else "it has none, so build it first")
    )


def _prefixes(environment: Mapping[str, str] | None) -> list[Path]:
    """Return the existing prefixes of the search path, in order."""
    source = os.environ if environment is None else environment
    paths = source.get(PREFIX_PATH, "").split(os.pathsep)
    return [Path(path) for path in paths if path and Path(path).is_dir()]
