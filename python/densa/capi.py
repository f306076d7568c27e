"""Where the C library lies that runs frozen networks without Python."""

from __future__ import annotations

from pathlib import Path

__all__ = ["get_include", "get_lib"]

_PACKAGE = Path(__file__).resolve().parent


def get_include() -> str:
    """Return the folder of `densa.h` and `densa.hpp`.

    Returns:
        A path for the compiler's `-I`.

    Raises:
        FileNotFoundError: if this densa was installed without its C library.
    """
    return _folder("include", "densa.h")


def get_lib() -> str:
    """Return the folder of `libdensa_predict`.

    Returns:
        A path for the linker's `-L` and `-rpath`.

    Raises:
        FileNotFoundError: if this densa was installed without its C library.
    """
    return _folder("lib", "cmake/densa/densaConfig.cmake")


def cmake_folder() -> str:
    """Return the folder of `densaConfig.cmake`, for `find_package(densa)`."""
    return str(Path(get_lib()) / "cmake" / "densa")


def pkgconfig_folder() -> str:
    """Return the folder of `densa.pc`, for `PKG_CONFIG_PATH`."""
    return str(Path(get_lib()) / "pkgconfig")


def _folder(name: str, holds: str) -> str:
    folder = _PACKAGE / name
    if not (folder / holds).exists():
        raise FileNotFoundError(
            f"{folder / holds} does not exist: this densa runs from its sources, or its package is "
            "incomplete. Install the package with pip install."
        )
    return str(folder)
