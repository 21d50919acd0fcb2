"""The native part; everything else about the package is in pyproject.toml."""

from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [
            Extension("hsdnsd.native." + path.rsplit("/", 1)[1].removesuffix(".pyx"), [path], extra_compile_args=["-O2"])
            for path in sorted(glob("hsdnsd/native/*.pyx"))
        ],
        language_level=3,
    )
)
