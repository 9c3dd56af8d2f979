"""Feed every reader of strangers' input with broken inputs, and report what it does wrong.

``python tests/fuzz/fuzzing.py --minutes 30`` goes round all targets; ``make fuzz MINUTES=30`` does
the same. A finding is an exception that is not the room's own error, a message of more than one
line, five seconds without an end, 500 MB of memory, or a file that stays behind. Each finding is
printed once, with the command that repeats it, and its input is saved in ``runs/fuzz/``.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import logging
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # for what tests share

from fuzz_mutations import mutate
from fuzz_targets import TARGETS, Target
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from asterias.errors import AsteriasError
from asterias.files import write_bytes, write_json
from asterias.provenance import provenance

SLOWEST_S = 5.0  # of processor time, so that a busy machine makes no findings
SLOWEST_WALL_S = 30.0
MOST_BYTES = 500 * 2**20
# Keeps a reader that has gone wrong from taking the machine with it.
MOST_ADDRESS_BYTES = 6 * 2**30
ROUND_S = 2.0
# Of a round: what hypothesis makes from nothing; the rest are good inputs that were changed.
GENERATED = 30
REPEAT = "python tests/fuzz/fuzzing.py --target {target} --input {path}"


class HangError(BaseException):
    """An input took too long."""


@dataclass
class Finding:
    """A fault, and the input that shows it.

    Attributes:
        target: name of the reader.
        kind: exception and place, or what else went wrong; each is reported once.
        origin: how the input was made.
        data: the input.
        trace: the traceback, where there is one.
        count: inputs that showed it.
    """

    target: str
    kind: str
    origin: str
    data: bytes
    trace: str = ""
    count: int = 1


@dataclass
class Counts:
    """What a target was given: inputs in all, those that were refused, and processor time."""

    inputs: int = 0
    refused: int = 0
    seconds: float = 0.0


@dataclass
class Fuzzer:
    """Runs targets in a folder of its own and collects findings.

    Attributes:
        folder: empty, for the files of one input.
        findings: by target and kind.
        counts: by target.
    """

    folder: Path
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)

    def try_input(self, target: Target, data: bytes, origin: str) -> None:
        """Give one input to a target and note what goes wrong."""
        counts = self.counts.setdefault(target.name, Counts())
        counts.inputs += 1
        began_s, before = time.process_time(), _memory_bytes("VmRSS")
        hung = False
        try:
            with _quiet(), _limited():
                target.function(data, self.folder)
        except HangError:
            hung = True
            self._note(
                target, f"no end after {SLOWEST_S:g} s", origin, data, traceback.format_exc()
            )
        except (AsteriasError, *target.allowed) as error:
            counts.refused += 1
            if not str(error).strip() or ("\n" in str(error) and not target.lists_mistakes):
                self._note(target, f"not one sentence: {str(error)[:80]!r}", origin, data)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
            self._note(target, kind, origin, data, traceback.format_exc())
        took_s = time.process_time() - began_s
        counts.seconds += took_s
        if took_s > SLOWEST_S and not hung:
            self._note(target, f"took more than {SLOWEST_S:g} s", origin, data)
        if _memory_bytes("VmHWM") - before > MOST_BYTES:
            self._note(target, "took more than 500 MB", origin, data)
        self._clear(target, origin, data)

    def mutations(self, target: Target, base: int, numbers: Iterator[int], until_s: float) -> None:
        """Change good inputs until a time of ``time.monotonic()``."""
        while time.monotonic() < until_s:
            number = next(numbers)
            rng = random.Random(f"{base}:{target.name}:{number}")
            data = mutate(target.seeds, rng, target.is_text)
            self.try_input(target, data, f"seed {base}, number {number}")

    def generated(self, target: Target, base: int, count: int) -> None:
        """Try inputs that hypothesis makes from nothing."""

        @seed(base)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(TEXTS if target.is_text else st.binary(max_size=300))
        def attempt(data: bytes) -> None:
            self.try_input(target, data, f"hypothesis, seed {base}")

        attempt()

    def _note(self, target: Target, kind: str, origin: str, data: bytes, trace: str = "") -> None:
        key = target.name, kind
        if key in self.findings:
            self.findings[key].count += 1
        else:
            self.findings[key] = Finding(target.name, kind, origin, data, trace)

    def _clear(self, target: Target, origin: str, data: bytes) -> None:
        for path in sorted(self.folder.iterdir()):
            if path.name not in target.files:
                self._note(target, f"left behind: {path.suffix or path.name}", origin, data)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
TEXTS = (
    JSON_VALUES.map(lambda value: repr(value).replace("'", '"').encode("utf-8", "surrogatepass"))
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=200)
)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    sink = io.StringIO()
    with (
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Raise HangError after the longest time; start the measurement of memory."""
    began_s = time.process_time()
    end_s = time.monotonic() + SLOWEST_WALL_S

    def ring(_signal: int, _frame: object) -> None:
        if time.process_time() - began_s >= SLOWEST_S or time.monotonic() > end_s:
            raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SLOWEST_S, SLOWEST_S / 10)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _memory_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def warm_up(targets: Sequence[Target], folder: Path) -> None:
    """Give each target its good inputs, which must be taken; imports and compilers then are done.

    Raises:
        AssertionError: a good input is refused.
    """
    for target in targets:
        for data in target.seeds:
            try:
                with _quiet():
                    target.function(data, folder)
            except (AsteriasError, *target.allowed) as error:
                if target.has_good_seeds:
                    raise AssertionError(f"{target.name} refuses a good input: {error}") from error
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def fuzzer() -> Iterator[Fuzzer]:
    """Give a fuzzer whose temporary files all lie in the folder that it looks at."""
    level, before = logging.root.manager.disable, tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="asterias_fuzz_") as name:
        logging.disable(logging.CRITICAL)
        tempfile.tempdir = name
        try:
            yield Fuzzer(Path(name))
        finally:
            tempfile.tempdir = before
            logging.disable(level)


def report(fuzz: Fuzzer, out: Path) -> None:
    """Print counts and findings; save the inputs of findings."""
    for name, counts in fuzz.counts.items():
        print(f"{name:24} {counts.inputs:8,} inputs, {counts.refused:8,} refused")
    print(f"{sum(counts.inputs for counts in fuzz.counts.values()):,} inputs in all.")
    for finding in fuzz.findings.values():
        number = len(list(out.glob(f"{finding.target}_*"))) if out.is_dir() else 0
        path = out / f"{finding.target}_{number}.bin"
        write_bytes(path, finding.data)
        print(f"\n{finding.target}: {finding.kind} ({finding.count} times; {finding.origin})")
        print(f"  {REPEAT.format(target=finding.target, path=path)}")
        if finding.trace:
            print("  " + "\n  ".join(finding.trace.strip().splitlines()[-8:]))
    print(f"{len(fuzz.findings)} findings.")


def main() -> int:
    """Run it from the command line; exit code 1 where there are findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", default="", choices=["", *TARGETS], help="one alone")
    parser.add_argument("--input", type=Path, help="repeat a saved input of --target")
    parser.add_argument("--out", type=Path, default=Path("runs/fuzz"), help="inputs of findings")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    options = parser.parse_args()
    if options.input is not None and not options.target:
        parser.error("--input needs --target")
    saved = None if options.input is None else options.input.read_bytes()
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESS_BYTES, resource.RLIM_INFINITY))
    targets = [TARGETS[options.target]] if options.target else list(TARGETS.values())
    with fuzzer() as fuzz:
        warm_up(targets, fuzz.folder)
        if saved is not None:
            fuzz.try_input(targets[0], saved, str(options.input))
        else:
            _go_round(fuzz, targets, options.seed, 60 * options.minutes)
        report(fuzz, options.out)
    if options.json is not None:
        _write(fuzz, options.json, options.seed, options.minutes)
    return 1 if fuzz.findings else 0


def _go_round(fuzz: Fuzzer, targets: Sequence[Target], base: int, duration_s: float) -> None:
    end_s = time.monotonic() + duration_s
    numbers = {target.name: iter(range(sys.maxsize)) for target in targets}
    number = 0
    while time.monotonic() < end_s:
        for target in targets:
            fuzz.generated(target, base + number, GENERATED)
            until_s = min(time.monotonic() + ROUND_S, end_s)
            fuzz.mutations(target, base, numbers[target.name], until_s)
        number += 1


def _write(fuzz: Fuzzer, path: Path, base: int, minutes: float) -> None:
    total = sum(counts.inputs for counts in fuzz.counts.values())
    content = provenance(seed=base) | {
        "minutes": minutes,
        "inputs": total,
        "findings": [
            {"target": one.target, "kind": one.kind, "inputs": one.count, "origin": one.origin}
            for one in fuzz.findings.values()
        ],
        "targets": {name: asdict(counts) for name, counts in sorted(fuzz.counts.items())},
    }
    for counts in content["targets"].values():
        counts["seconds"] = round(counts["seconds"], 1)
    write_json(path, content)


if __name__ == "__main__":
    raise SystemExit(main())
