"""`ros2 doctor`: what is wrong with the setup or with the running system."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from asterias_ros2.graph.session import add_arguments, open_session
from asterias_ros2.health.checks import CHECKS, SetupFinding
from asterias_ros2.health.reports import REPORTS, DoctorReport

MIN_PADDING = 8


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `ros2 doctor`."""
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("-r", "--report", action="store_true", help="print all reports")
    shown.add_argument(
        "-rf", "--report-failed", action="store_true", help="print the reports of failed checks"
    )
    parser.add_argument("-ep", "--exclude-packages", action="store_true", help="leave packages out")
    parser.add_argument(
        "-iw", "--include-warnings", action="store_true", help="count warnings as failures"
    )
    add_arguments(parser)
    parser.set_defaults(run=examine)


def examine(arguments: argparse.Namespace) -> int:
    """Run all checks, or print all reports.

    Returns:
        The exit code.
    """
    left_out = {"package"} if arguments.exclude_packages else set()
    with open_session(arguments) as session:
        session.discover(arguments.spin_time)
        if arguments.report:
            for category, report in REPORTS:
                if category not in left_out:
                    _print_report(report(session))
            return 0
        failed: list[str] = []
        total = 0
        for category, check in CHECKS:
            if category in left_out:
                continue
            total += 1
            if _is_failure(check(session), arguments.include_warnings):
                failed.append(category)
        if failed:
            print(f"\n{len(failed)}/{total} check(s) failed\n")
            print("Failed modules:", *sorted(set(failed)))
        else:
            print(f"\nAll {total} checks passed\n")
        for category, report in REPORTS if arguments.report_failed else ():
            if category in failed:
                _print_report(report(session))
    return 0


def _is_failure(findings: Iterator[SetupFinding], with_warnings: bool) -> bool:
    """Return whether what a check finds is a failure; print it."""
    is_failure = False
    for finding in findings:
        kind = "UserWarning: ERROR: " if finding.is_error else "UserWarning: "
        print(f"ros2 doctor: {kind}{finding.text}", file=sys.stderr)
        is_failure |= finding.is_error or with_warnings
    return is_failure


def _print_report(report: DoctorReport) -> None:
    print("\n  ", report.title)
    longest = max((len(name) for name, _ in report.items), default=0)
    padding = longest + 4 if longest >= MIN_PADDING else MIN_PADDING
    for name, value in report.items:
        print(f"{name:{padding}}: {value}")
