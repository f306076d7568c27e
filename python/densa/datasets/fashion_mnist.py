"""Fashion-MNIST: 70 000 grey pictures of clothes, 28x28 pixels, in 10 classes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from densa.datasets.idx import read_idx

__all__ = ["load_data"]

Split = tuple[NDArray[np.uint8], NDArray[np.uint8]]

DEBIAN_FOLDER = "/usr/share/datasets/fashion-mnist"

MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)

# SHA-256 of the uncompressed files: mirrors and distributions compress them differently.
# On disk and on mirrors each has the suffix .gz.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

_TIMEOUT = 60.0
_WAYS_OUT = (
    "Install Debian's package dataset-fashion-mnist, or put the four .gz files into a folder and "
    "name it in DENSA_DATA, or name a mirror in DENSA_DATA_URL."
)


def load_data(*, base_url: str | None = None) -> tuple[Split, Split]:
    """Return Fashion-MNIST as `(train, test)`; found on this machine, else downloaded once.

    Looked for in this order: the folder in the environment variable `DENSA_DATA` (or its subfolder
    `fashion-mnist`), the folder of Debian's package `dataset-fashion-mnist`, the user's cache
    (`$XDG_CACHE_HOME/densa/fashion-mnist`). Otherwise the four files are downloaded to the cache;
    a file is kept only if its content has the known checksum.

    Args:
        base_url: Where to download from, the file's name is appended; default is the environment
            variable `DENSA_DATA_URL`, or else a list of public mirrors. It is used only if nothing
            is found on this machine.

    Returns:
        `((x_train, y_train), (x_test, y_test))`: images of shape `(60000, 28, 28)` and
        `(10000, 28, 28)`, uint8 from 0 to 255, and labels of shape `(60000,)` and `(10000,)`, uint8
        from 0 to 9.

    Raises:
        ValueError: A file that was found is broken; the message names it.
        OSError: Nothing was found and every download failed; the message lists why.

    Example:
        >>> from densa.datasets import fashion_mnist
        >>> (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()  # doctest: +SKIP
    """
    for folder in _folders():
        if all(os.path.isfile(os.path.join(folder, name + ".gz")) for name in SHA256):
            return _read(folder)
    folder = _cache_folder()
    _download(folder, base_url or os.environ.get("DENSA_DATA_URL") or None)
    return _read(folder)


def _folders() -> Iterator[str]:
    data = os.environ.get("DENSA_DATA")
    if data:
        yield data
        yield os.path.join(data, "fashion-mnist")
    yield DEBIAN_FOLDER
    yield _cache_folder()


def _cache_folder() -> str:
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):  # the XDG rules ignore relative paths
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "densa", "fashion-mnist")


def _read(folder: str) -> tuple[Split, Split]:
    def part(name: str) -> Split:
        images_path = os.path.join(folder, f"{name}-images-idx3-ubyte.gz")
        labels_path = os.path.join(folder, f"{name}-labels-idx1-ubyte.gz")
        x, y = read_idx(images_path, ndim=3), read_idx(labels_path, ndim=1)
        if x.shape[1:] != (28, 28):
            raise ValueError(f"{images_path}: images of shape {x.shape[1:]}, expected (28, 28).")
        if len(x) != len(y):
            raise ValueError(f"{images_path}: {len(x)} images, but {labels_path}: {len(y)} labels.")
        if y.size and y.max() > 9:
            raise ValueError(f"{labels_path}: label {y.max()}, expected 0 to 9.")
        return x, y

    return part("train"), part("t10k")


def _download(folder: str, base_url: str | None) -> None:
    mirrors = (base_url,) if base_url else MIRRORS
    os.makedirs(folder, exist_ok=True)
    for name in SHA256:
        target = os.path.join(folder, name + ".gz")
        if os.path.isfile(target) and _is_whole(target, name):
            continue
        failures = []
        for mirror in mirrors:
            url = mirror.rstrip("/") + f"/{name}.gz"
            try:
                _download_file(url, target, name)
                break
            except (OSError, ValueError) as error:
                failures.append(f"  {url}: {error}")
        else:
            raise OSError(
                f"Fashion-MNIST is not on this machine and {name}.gz could not be downloaded:\n"
                + "\n".join(failures)
                + f"\n{_WAYS_OUT}"
            )


def _is_whole(path: str, name: str) -> bool:
    try:
        _check(path, name)
    except ValueError:
        return False
    return True


def _check(path: str, name: str) -> None:
    read_idx(path, ndim=3 if "idx3" in name else 1, sha256=SHA256[name])


def _download_file(url: str, target: str, name: str) -> None:
    """Download to a file beside the target, check it, and only then give it the target's name."""
    import http.client
    import shutil
    import tempfile
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise ValueError("the address must start with http:// or https://")
    handle, temporary = tempfile.mkstemp(suffix=".gz", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            try:
                with urllib.request.urlopen(url, timeout=_TIMEOUT) as reply:
                    shutil.copyfileobj(reply, file, 1 << 20)
            except http.client.HTTPException as error:
                raise OSError(f"broken reply ({error!r})") from error
            file.flush()
            os.fsync(file.fileno())
        try:
            _check(temporary, name)
        except ValueError as error:
            raise ValueError(str(error).replace(temporary, "the download")) from error
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
