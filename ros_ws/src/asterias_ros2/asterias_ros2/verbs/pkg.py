"""`ros2 pkg`: packages, their prefixes and executables."""

from __future__ import annotations

import argparse

from asterias_ros2 import ament_index


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of `ros2 pkg`."""
    verbs = parser.add_subparsers(title="Verbs")
    verbs.add_parser("list", help="list all packages").set_defaults(run=list_packages)

    prefix = verbs.add_parser("prefix", help="print the prefix a package is installed under")
    prefix.add_argument("package_name", help="name of the package")
    prefix.add_argument("--share", action="store_true", help="print its share directory instead")
    prefix.set_defaults(run=show_prefix)

    executables = verbs.add_parser("executables", help="list the executables of packages")
    executables.add_argument("package_name", nargs="?", help="name of one package")
    executables.add_argument("--full-path", action="store_true", help="print full paths")
    executables.set_defaults(run=list_executables)


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
