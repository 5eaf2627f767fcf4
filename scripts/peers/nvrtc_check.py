#!/usr/bin/env python3
"""Compiles our kernels for NVIDIA cards with NVIDIA's run-time compiler, without a card.

    python3 scripts/peers/nvrtc_check.py

A test of the model's crate writes the CUDA source of every kernel, as the runtime for CUDA would have it at the sizes of
three models, into the folder cuda_sources beside what cargo builds. NVRTC compiles each for every architecture below,
with the options that the runtime gives it. Prints registers and spilled bytes of each kernel; exit code 1, with NVRTC's
log, when one does not compile. The packages (270 MB) go into a virtual environment in the cache.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from environment import ROOT, TARGET, enter  # noqa: E402

FOLDER = TARGET / "cuda_sources"
# An A100, an H100 and a B200. From the second on the runtime asks for what only that architecture has.
ARCHITECTURES = ["sm_80", "sm_90a", "sm_100a"]
TEST = ["cargo", "test", "-p", "pair2score-model", "--features", "cuda-sources", "--lib", "every_kernel_has_a_cuda_source"]


def write_sources():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    environment = os.environ | {"PAIR2SCORE_CUDA_SOURCES": str(FOLDER.resolve())}
    if subprocess.run(TEST, cwd=ROOT, env=environment, stdout=sys.stderr).returncode != 0:
        sys.exit("error: the test that writes the sources failed")


class Nvrtc:
    """NVRTC of the package, as the header nvrtc.h describes it."""

    def __init__(self):
        import nvidia.cuda_nvrtc

        [folder] = nvidia.cuda_nvrtc.__path__
        self.library = ctypes.CDLL(str(Path(folder) / "lib" / "libnvrtc.so.12"))
        self.library.nvrtcGetErrorString.restype = ctypes.c_char_p

    def call(self, name, *args):
        result = getattr(self.library, name)(*args)
        if result != 0:
            raise RuntimeError(f"{name}: {self.library.nvrtcGetErrorString(result).decode()}")

    def compile(self, source, options):
        """Whether a source compiles, and the compiler's log."""
        program = ctypes.c_void_p()
        self.call("nvrtcCreateProgram", ctypes.byref(program), source, None, 0, None, None)
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        compiled = self.library.nvrtcCompileProgram(program, len(options), words) == 0
        size = ctypes.c_size_t()
        self.call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.call("nvrtcGetProgramLog", program, log)
        self.call("nvrtcDestroyProgram", ctypes.byref(program))
        return compiled, log.value.decode()


def includes():
    import nvidia.cuda_cccl
    import nvidia.cuda_runtime

    folders = [package.__path__[0] for package in (nvidia.cuda_runtime, nvidia.cuda_cccl)]
    return [f"--include-path={folder}/include" for folder in folders]


def used(log):
    """Registers of a unit and bytes that it spills, of the log of a compilation."""
    [registers] = re.findall(r"Used (\d+) registers", log)
    [(stores, loads)] = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    return f"{registers} registers, {int(stores) + int(loads)} bytes spilled"


def main():
    enter("nvrtc")
    write_sources()
    nvrtc = Nvrtc()
    version = ctypes.c_int(), ctypes.c_int()
    nvrtc.call("nvrtcVersion", *(ctypes.byref(part) for part in version))
    sources = sorted(FOLDER.glob("*.cu"))
    broken = 0
    for path in sources:
        for architecture in ARCHITECTURES:
            options = [f"--gpu-architecture={architecture}", "-lineinfo", "--ptxas-options=-v", *includes()]
            compiled, log = nvrtc.compile(path.read_bytes(), options)
            broken += not compiled
            print(f"{path.stem} {architecture}: {used(log) if compiled else 'does not compile'}")
            if not compiled:
                print(log)
    print(f"NVRTC {version[0].value}.{version[1].value}: {len(sources)} sources, {broken} failures")
    return broken > 0 or not sources


if __name__ == "__main__":
    sys.exit(main())
