"""The native part; everything else about the package is in pyproject.toml."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Relative, as setuptools wants sources to be.
NATIVE = Path("hsdnsd/native")


class BuildNative(build_ext):
    """build_ext that says in one line what is missing on this machine."""

    def build_extensions(self) -> None:
        compiler = self.compiler.compiler[0]
        if shutil.which(compiler) is None:
            raise SystemExit(
                f"hsdnsd: there is no C compiler {compiler!r}: install one (Debian: apt-get install gcc libc6-dev), "
                "or name another: CC=clang"
            )
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            raise SystemExit("hsdnsd: there is no Python.h: install it (Debian: apt-get install python3-dev)")
        super().build_extensions()


def extension(path: Path) -> Extension:
    return Extension(f"hsdnsd.native.{path.stem}", [str(path)], extra_compile_args=["-std=gnu11", "-Wall", "-Wextra"])


setup(
    cmdclass={"build_ext": BuildNative},
    ext_modules=cythonize([extension(path) for path in sorted(NATIVE.glob("*.pyx"))], language_level=3),
)
