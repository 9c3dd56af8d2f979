"""Machine code on disk that was compiled from other sources is not used."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

# Numba compares the file of a function alone: `caller` is compiled with `callee` inside.
CALLER = """
from pathlib import Path

from numba import njit

from asterias.machine_code import remove_stale
from callee import value


@njit(cache=True)
def caller():
    return value()


remove_stale(Path(caller.stats.cache_path), Path(__file__).parent)
print(caller(), sum(caller.stats.cache_hits.values()))
"""


def write_callee(folder: Path, value: int) -> None:
    text = f"""
    from numba import njit


    @njit(cache=True)
    def value():
        return {value}
    """
    (folder / "callee.py").write_text(textwrap.dedent(text), encoding="utf-8")


def run_caller(folder: Path) -> str:
    command = [sys.executable, "caller.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_change_in_a_called_file_recompiles_its_callers(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(CALLER, encoding="utf-8")
    write_callee(tmp_path, 1)
    assert run_caller(tmp_path) == "1 0"
    assert run_caller(tmp_path) == "1 1"  # from disk
    write_callee(tmp_path, 2)
    assert run_caller(tmp_path) == "2 0"
