"""Metadata, dependencies and PoseMamba's native kernels.

PoseMamba's native kernels (posemamba/csrc) are a plain shared library: it needs neither torch nor Python headers, so
that ``pip install .`` works in an isolated build environment. It is optional: without a C++ compiler everything
installs and ``posemamba.scan`` says at run time that it uses its slower form.
"""

from __future__ import annotations

import glob

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError

# No -march=native: a wheel must run on other machines, and the kernel chooses its instructions when it is loaded.
# No -ffast-math: it would switch the whole process to flush-to-zero.
COMPILE_FLAGS = ["-O3", "-std=gnu++17", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
OPENMP_FLAG = "-fopenmp"


class BuildNative(build_ext):
    """Builds with OpenMP where the compiler has it, else for one thread."""

    def build_extension(self, extension: Extension) -> None:
        without_openmp = list(extension.extra_compile_args)
        extension.extra_compile_args = [*without_openmp, OPENMP_FLAG]
        extension.extra_link_args = [OPENMP_FLAG]
        try:
            super().build_extension(extension)
        except CCompilerError:
            extension.extra_compile_args, extension.extra_link_args = without_openmp, []
            super().build_extension(extension)


setup(
    name="pose-lifting-harness",
    version="0.1.0",
    description="Train, evaluate and measure 3D human pose lifters: PoseMamba beside its peers.",
    python_requires=">=3.10",
    packages=find_packages(include=["harness*", "baselines*", "posemamba*"]),
    package_data={
        "harness": ["published.json"],
        "harness.reporting": ["templates/*.html", "templates/*.css", "templates/*.js"],
        "harness.data": ["*.json"],
    },
    ext_modules=[
        Extension(
            "posemamba._native",
            sources=["posemamba/csrc/native.cpp"],
            depends=glob.glob("posemamba/csrc/*.hpp"),
            extra_compile_args=COMPILE_FLAGS,
            language="c++",
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildNative},
    install_requires=[
        "torch>=2.5",
        "numpy>=1.26",
        "pandas>=2.1",
        "seaborn>=0.13",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        "click>=8.1",
        "fvcore>=0.1.5.post20221221",
        "tomli>=2; python_version < '3.11'",
    ],
    extras_require={
        "cuda": ["mamba-ssm>=2.2", "causal-conv1d>=1.4"],
        "bench": ["numba>=0.60"],
        "points": ["h5py>=3.8"],
        "parquet": ["pyarrow>=14"],
        "tensorboard": ["tensorboard>=2.14"],
        "ray": ["ray>=2.59"],
        "slurm": ["submitit>=1.5"],
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6.100",
            "ruff>=0.6",
            "mypy>=1.10",
            "scipy>=1.11",
            "pandas-stubs>=2.1",
            "thop>=0.1.1",
            "h5py>=3.8",
            "pyarrow>=14",
            "tensorboard>=2.14",
            "ray>=2.59",
            "submitit>=1.5",
            "playwright>=1.40",
            "pylatexenc>=2.10",
            "jsonschema>=4.18",
            "markdown-it-py>=3",
        ],
    },
    entry_points={"console_scripts": ["harness = harness.cli:main"]},
)
