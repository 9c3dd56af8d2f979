"""Compile CUDA C++ by NVRTC, NVIDIA's compiler as a library; no GPU is needed for that."""

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
    """Return the PTX of CUDA C++, which a person can read; a ``UserError`` says what fails.

    Args:
        source: the program.
        architecture: such as sm_80 or sm_90.
        constants: what is defined for the preprocessor.
    """
    compute = architecture.replace("sm_", "compute_")
    return _compile(source, compute, constants, "PTX").decode(errors="replace")


def compile_cubin(source: str, architecture: str, constants: Mapping[str, int]) -> bytes:
    """Return the machine code of CUDA C++, for a driver of the same major version.

    A ``UserError`` says that NVRTC is missing, or what does not compile.

    Args:
        source: the program.
        architecture: such as sm_80 or sm_90, that of the GPU.
        constants: what is defined for the preprocessor.
    """
    return _compile(source, architecture, constants, "CUBIN")


def _compile(source: str, architecture: str, constants: Mapping[str, int], what: str) -> bytes:
    """Return the output of a kind, or raise what the compiler says.

    Raises:
        UserError: NVRTC is missing, or does not compile the program; its message is in the text.
    """
    nvrtc = ctypes.CDLL(str(library()))
    nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
    options = [f"--gpu-architecture={architecture}", "--std=c++17"]
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
        if nvrtc.nvrtcCompileProgram(program, len(options), words):
            log = _output(nvrtc, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            named = architecture.replace("compute_", "sm_")
            raise UserError(f"NVRTC does not compile the kernels for {named}: {log}")
        output = _output(nvrtc, program, what)
        return output.rstrip(b"\0") if what == "PTX" else output
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _output(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    """Return what NVRTC holds for a program."""
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, buffer))
    return buffer.raw


def _check(nvrtc: ctypes.CDLL, code: int) -> None:
    if code:
        raise UserError(f"NVRTC failed: {nvrtc.nvrtcGetErrorString(code).decode()}.")
