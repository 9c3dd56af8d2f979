"""What runs the kernels: a GPU by its driver, or this machine's processor by emulation."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from asterias.errors import UserError
from planners.operator.cuda_kernels.geometry import GpuLimits, LaunchGeometry
from planners.operator.cuda_kernels.nvrtc import SOURCE, compile_cubin

_EMULATION = Path(__file__).parent / "host_emulation.cpp"
# Of cuda.h: attributes of a function and of a device.
_LOCAL_SIZE_BYTES, _NUM_REGS, _MAX_DYNAMIC_SHARED_SIZE_BYTES = 3, 4, 8
_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, _CLUSTER_LAUNCH = 97, 120
_MAJOR, _MINOR = 75, 76


class CallSizes(ctypes.Structure):
    """The last argument of both kernels, ``Sizes`` of the source."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("depth", "batch", "height", "width")),
        *((name, ctypes.c_longlong) for name in ("maze_stride", "tap_stride", "cell_stride")),
    ]


class Launch:
    """One call of a kernel: its arguments, which live as long as it does.

    Args:
        kernel: ``forward`` or ``backward``.
        geometry: constants of the program.
        tape: whether forward keeps what backward needs.
        clusters: as many as mazes.
        shared_floats: dynamic shared memory of a block.
        pointers: addresses of the arrays, in the order of the source.
        sizes: of the call.
    """

    def __init__(
        self,
        kernel: str,
        geometry: LaunchGeometry,
        *,
        tape: bool,
        clusters: int,
        shared_floats: int,
        pointers: Sequence[int],
        sizes: CallSizes,
    ) -> None:
        self.kernel, self.geometry, self.tape = kernel, geometry, tape
        self.clusters, self.shared_floats = clusters, shared_floats
        self._pointers = (ctypes.c_void_p * len(pointers))(*pointers)
        self._sizes = sizes
        step = ctypes.sizeof(ctypes.c_void_p)
        first = ctypes.addressof(self._pointers)
        places = [first + step * k for k in range(len(pointers))]
        places.append(ctypes.addressof(sizes))
        # As the driver wants them: where each argument is.
        self.parameters = (ctypes.c_void_p * len(places))(*places)


class Launcher(Protocol):
    """Runs kernels on arrays that lie where it runs."""

    @property
    def limits(self) -> GpuLimits:
        """What the machine has."""
        ...

    def build(self, geometry: LaunchGeometry, *, tape: bool) -> None:
        """Compile a program, unless that has been done."""
        ...

    def run(self, launch: Launch) -> None:
        """Run a kernel; on a GPU it may go on when this returns."""
        ...


class GpuLauncher:
    """Compiles by NVRTC and launches by the driver, in PyTorch's context and stream.

    Args:
        device: number of the GPU, which PyTorch has begun to use.
        driver: the driver's library.

    Raises:
        UserError: there is no driver, or it does not know the GPU.
    """

    def __init__(self, device: int, driver: str = "libcuda.so.1") -> None:
        try:
            self._cuda = ctypes.CDLL(driver)
        except OSError as error:
            raise UserError(f"there is no driver of NVIDIA here: {error}.") from error
        self._cuda.cuLaunchKernel.argtypes = [
            ctypes.c_void_p,
            *([ctypes.c_uint] * 7),
            *([ctypes.c_void_p] * 3),
        ]
        self._device = device
        self.architecture = f"sm_{self._attribute(_MAJOR)}{self._attribute(_MINOR)}"
        shared = self._attribute(_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)
        self._limits = GpuLimits(shared, bool(self._attribute(_CLUSTER_LAUNCH)))
        self._modules: dict[tuple[LaunchGeometry, bool], ctypes.c_void_p] = {}

    @property
    def limits(self) -> GpuLimits:
        """What the GPU has."""
        return self._limits

    def build(self, geometry: LaunchGeometry, *, tape: bool) -> None:
        """Compile and load a program, unless that has been done."""
        if (geometry, tape) in self._modules:
            return
        constants = geometry.constants(tape=tape)
        code = compile_cubin(SOURCE.read_text(encoding="utf-8"), self.architecture, constants)
        module = ctypes.c_void_p()
        self._check(self._cuda.cuModuleLoadData(ctypes.byref(module), code))
        self._modules[geometry, tape] = module

    def run(self, launch: Launch) -> None:
        """Launch a kernel behind what waits in PyTorch's stream."""
        function = self._function(launch.geometry, launch.kernel, tape=launch.tape)
        shared, blocks = 4 * launch.shared_floats, launch.clusters * launch.geometry.cluster
        self._check(self._cuda.cuFuncSetAttribute(function, _MAX_DYNAMIC_SHARED_SIZE_BYTES, shared))
        grid, block = (blocks, 1, 1), (launch.geometry.threads, 1, 1)
        self._check(
            self._cuda.cuLaunchKernel(
                function, *grid, *block, shared, self._stream(), launch.parameters, None
            )
        )

    def registers(self, geometry: LaunchGeometry, kernel: str, *, tape: bool) -> tuple[int, int]:
        """Return the registers of a thread, and the bytes that did not fit into them."""
        function, value = self._function(geometry, kernel, tape=tape), ctypes.c_int()
        found = []
        for attribute in (_NUM_REGS, _LOCAL_SIZE_BYTES):
            code = self._cuda.cuFuncGetAttribute(ctypes.byref(value), attribute, function)
            self._check(code)
            found.append(value.value)
        return found[0], found[1]

    def _function(self, geometry: LaunchGeometry, kernel: str, *, tape: bool) -> ctypes.c_void_p:
        self.build(geometry, tape=tape)
        module, function = self._modules[geometry, tape], ctypes.c_void_p()
        name = f"value_iteration_{kernel}".encode()
        self._check(self._cuda.cuModuleGetFunction(ctypes.byref(function), module, name))
        return function

    def _stream(self) -> int:
        import torch

        if not torch.cuda.is_available():  # a driver that a test stands in for
            return 0
        return int(torch.cuda.current_stream(self._device).cuda_stream)

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self._check(self._cuda.cuDeviceGetAttribute(ctypes.byref(value), number, self._device))
        return value.value

    def _check(self, code: int) -> None:
        """Raise what the driver says.

        Raises:
            UserError: the code is not 0.
        """
        if code:
            text = ctypes.c_char_p()
            self._cuda.cuGetErrorString(code, ctypes.byref(text))
            said = (text.value or b"an unknown error").decode(errors="replace")
            raise UserError(f"the GPU's driver failed ({code}): {said}.")


class EmulatingLauncher:
    """Compiles the kernels as C++ and runs their threads as fibres, one at a time.

    Args:
        seed: of the order of threads between two barriers.
        limits: of the GPU that is emulated; by default an H100's.

    Raises:
        UserError: there is no C++ compiler.
    """

    def __init__(self, seed: int = 0, limits: GpuLimits | None = None) -> None:
        compiler = shutil.which("g++") or shutil.which("clang++")
        if compiler is None:
            raise UserError("there is no C++ compiler to emulate the kernels with: install g++.")
        self._compiler, self.seed = compiler, seed
        self._limits = limits or GpuLimits(232_448, clusters=True)

    @property
    def limits(self) -> GpuLimits:
        """What is emulated."""
        return self._limits

    def build(self, geometry: LaunchGeometry, *, tape: bool) -> None:
        """Compile a program, unless that has been done."""
        _emulated(self._compiler, geometry, tape)

    def run(self, launch: Launch) -> None:
        """Run a kernel to its end.

        Raises:
            UserError: some threads of a cluster wait at a barrier that others do not reach.
        """
        program = _emulated(self._compiler, launch.geometry, launch.tape)
        function = getattr(program, f"launch_{launch.kernel}")
        function.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_uint]
        words = ctypes.cast(launch.parameters, ctypes.c_void_p)
        if function(words, launch.clusters, launch.shared_floats, self.seed):
            raise UserError("the kernels are wrong: threads of a cluster disagree about a barrier.")


@cache
def _emulated(compiler: str, geometry: LaunchGeometry, tape: bool) -> ctypes.CDLL:
    """Return a compiled program.

    Raises:
        UserError: it does not compile.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "emulation.so"
        words = [f"-D{name}={value}" for name, value in geometry.constants(tape=tape).items()]
        words += ["-DHOST_EMULATION", f'-DVALUE_ITERATION="{SOURCE}"', "-std=c++17", "-O1"]
        words += ["-fPIC", "-shared", "-Wno-unknown-pragmas", str(_EMULATION), "-o", str(library)]
        done = subprocess.run([compiler, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"{compiler} does not compile the kernels: {done.stderr[:2000]}")
        return ctypes.CDLL(str(library))
