"""`ros2 pkg`: packages, their prefixes and executables."""

from __future__ import annotations

import argparse
import xml.etree.ElementTree as ET

from asterias_ros2 import ament_index
from asterias_ros2.errors import VerbError
from asterias_ros2.parsers import Verbs, completed


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 pkg`."""
    verbs = Verbs(parser)
    executables = verbs.add("executables", "list the executables of packages", list_executables)
    _add_package(executables, "?")
    executables.add_argument("--full-path", action="store_true", help="print full paths")

    verbs.add("list", "list all packages", list_packages)

    prefix = verbs.add("prefix", "print the prefix a package is installed under", show_prefix)
    _add_package(prefix)
    prefix.add_argument("--share", action="store_true", help="print its share directory instead")

    xml = verbs.add("xml", "print the manifest of a package", show_manifest)
    _add_package(xml)
    xml.add_argument("-t", "--tag", help="the texts of these elements alone, such as version")


def _add_package(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    completed(
        parser.add_argument("package_name", nargs=nargs, help="name of the package"),
        lambda **_: sorted(ament_index.packages()),
    )


def show_manifest(arguments: argparse.Namespace) -> int:
    """Print the manifest of a package, or the texts of some of its elements.

    Returns:
        The exit code.

    Raises:
        VerbError: it has no manifest, no such element, or one that cannot be read.
    """
    path = ament_index.package_share(arguments.package_name) / "package.xml"
    try:
        text = path.read_text(encoding="utf-8")
        root = ET.fromstring(text)
    except (OSError, ValueError, ET.ParseError) as error:
        raise VerbError(f"{path} cannot be read: {error}") from None
    if arguments.tag is None:
        print(text)
        return 0
    found = [element.text or "" for element in root.findall(arguments.tag)]
    if not found:
        raise VerbError(f"No tag '{arguments.tag}' found for package '{arguments.package_name}'")
    for value in found:
        print(value)
    return 0


def list_packages(_arguments: argparse.Namespace) -> int:
    """Print the names of all packages.

    Returns:
        The exit code.
    """
    for name in sorted(ament_index.packages()):
        print(name)
    return 0


def show_prefix(arguments: argparse.Namespace) -> int:
    """Print where a package is installed.

    Returns:
        The exit code.
    """
    find = ament_index.package_share if arguments.share else ament_index.package_prefix
    print(find(arguments.package_name))
    return 0


def list_executables(arguments: argparse.Namespace) -> int:
    """Print the executables of one package or of all.

    Returns:
        The exit code.
    """
    name = arguments.package_name
    for package in sorted(ament_index.packages()) if name is None else [name]:
        for path in ament_index.executables(package):
            print(path if arguments.full_path else f"{package} {path.name}")
    return 0
