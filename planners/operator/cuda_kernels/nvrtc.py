"""Compile CUDA C++ to PTX by NVRTC, NVIDIA's compiler as a library; no GPU is needed for that."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from asterias.errors import UserError

SOURCE = Path(__file__).parent / "value_iteration.cu"


def library() -> Path:
    """Return the library of the package ``nvidia-cuda-nvrtc-cu12``.

    Raises:
        UserError: it is not installed.
    """
    for package in ("nvidia.cuda_nvrtc", "nvidia.cu13"):
        try:
            spec = find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).glob("lib/libnvrtc.so.*")):
                return path
    raise UserError(
        "NVRTC is missing: pip install -c constraints.txt nvidia-cuda-nvrtc-cu12 (90 MB, no GPU)."
    )


def compile_ptx(source: str, architecture: str, constants: Mapping[str, int]) -> str:
    """Return the PTX of CUDA C++.

    Args:
        source: the program.
        architecture: such as sm_80 or sm_90.
        constants: what is defined for the preprocessor.

    Raises:
        UserError: NVRTC is missing, or does not compile the program; its message is in the text.
    """
    nvrtc = ctypes.CDLL(str(library()))
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    compute = architecture.replace("sm_", "compute_")
    options = [f"--gpu-architecture={compute}", "--std=c++17"]
    options += [f"-D{name}={value}" for name, value in constants.items()]
    words = (ctypes.c_char_p * len(options))(*(word.encode() for word in options))
    program = ctypes.c_void_p()
    _check(
        nvrtc,
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), source.encode(), b"value_iteration.cu", 0, None, None
        ),
    )
    try:
        failed = nvrtc.nvrtcCompileProgram(program, len(options), words)
        if failed:
            log = _text(nvrtc, program, "ProgramLog")
            raise UserError(f"NVRTC does not compile the kernels for {architecture}: {log}")
        return _text(nvrtc, program, "PTX")
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> str:
    """Return a text that NVRTC holds for a program."""
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, buffer))
    return buffer.value.decode(errors="replace")


def _check(nvrtc: ctypes.CDLL, code: int) -> None:
    if code:
        raise UserError(f"NVRTC failed: {nvrtc.nvrtcGetErrorString(code).decode()}.")
