"""A whole fit of network A on Fashion-MNIST, progress and metrics on; run by `train.py --fit`."""

from __future__ import annotations

import argparse
import gzip
import importlib
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import common
import slots

PEERS = ["densa", "torch-loader", "torch-index", "keras-jax"]
FOLDERS = (
    os.environ.get("DENSA_DATA", ""),
    "/usr/share/datasets/fashion-mnist",
    "/usr/share/dataset-fashion-mnist",
)


def find_file(name: str) -> Path | None:
    """Looks for one file of the data set, packed or not."""
    for folder in filter(None, FOLDERS):
        for path in (Path(folder), Path(folder) / "fashion-mnist"):
            for candidate in (path / name, path / f"{name}.gz"):
                if candidate.is_file():
                    return candidate
    return None


def read_idx(path: Path, header: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The bytes of an IDX file after its header."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return np.frombuffer(data, np.uint8, offset=header)


def load_arrays() -> tuple[dict[str, Any], str]:
    """Fashion-MNIST from disk or by `densa.datasets`, else noise of the same shape."""
    arrays: dict[str, Any] = {}
    for part, stem in (("train", "train"), ("test", "t10k")):
        images = find_file(f"{stem}-images-idx3-ubyte")
        labels = find_file(f"{stem}-labels-idx1-ubyte")
        if images and labels:
            arrays[f"x_{part}"] = read_idx(images, 16).reshape(-1, 784)
            arrays[f"y_{part}"] = read_idx(labels, 8)
    source = "Fashion-MNIST"
    if len(arrays) < 4:
        try:
            densa: Any = importlib.import_module("densa")
            (x, y), (x_test, y_test) = densa.datasets.fashion_mnist.load_data()
            arrays = {"x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test}
        except Exception as reason:  # no densa, no network: the speed is the same on noise
            print(f"  Fashion-MNIST not found ({reason}): random images of the same shape")
            rng = np.random.default_rng(0)
            source = "random images"
            for part, rows in (("train", 60000), ("test", 10000)):
                arrays[f"x_{part}"] = rng.integers(0, 256, (rows, 784), dtype=np.uint8)
                arrays[f"y_{part}"] = rng.integers(0, 10, rows)
    for part in ("train", "test"):
        x = np.asarray(arrays[f"x_{part}"]).reshape(-1, 784).astype(np.float32)
        arrays[f"x_{part}"] = x / np.float32(255)
        arrays[f"y_{part}"] = np.asarray(arrays[f"y_{part}"]).astype(np.int32)
    return arrays, source


def measure(threads: int, options: argparse.Namespace) -> dict[str, Any] | None:
    """Seconds per epoch: the first one with everything that is built and compiled, then more."""
    print(f"\nwhole fit of A, batch 32, {threads} thread(s)", flush=True)
    arrays, source = load_arrays()
    with tempfile.TemporaryDirectory(prefix="densa-bench-") as folder:
        for name, array in arrays.items():
            np.save(Path(folder) / f"{name}.npy", array)
        job = {"kind": "fit", "folder": folder, "threads": threads}
        workers, notes = slots.start(options.peers, threads, options.pythons, job, options.log)
        first, ready = {}, []
        for worker in workers:
            try:
                began = time.perf_counter()
                worker.run(1, 0)
                first[worker.name] = time.perf_counter() - began
                ready.append(worker)
            except slots.Skipped as reason:
                print(f"  {worker.name}: skipped: {reason}")
                worker.close()
        if not ready:
            return None
        rounds = common.interleave(
            ready,
            repeats=options.repeats,
            slot_seconds=0.01,
            probe=options.probe,
            threads=threads,
            most=1,
            retries=0,
        )
        accuracy = {worker.name: worker.check() for worker in ready}
        for worker in ready:
            worker.close()
    barrier = common.quartiles(rounds.barriers) if rounds.barriers else None
    row: dict[str, Any] = {
        "data": source,
        "threads": threads,
        "barrier_ns": barrier,
        "peers": {},
    }
    if barrier:
        print(f"  barrier {barrier[1]:.0f} ns")
    for name, samples in rounds.samples.items():
        summary = samples.summary()
        entry = {
            "seconds": summary["us"] / 1e6,
            "q1": summary["q1"] / 1e6,
            "q3": summary["q3"] / 1e6,
            "first_seconds": first[name],
            "test_accuracy": accuracy[name],
            "slots": summary["slots"],
            **notes[name],
        }
        if "densa" in rounds.samples:
            entry["by_densa"] = rounds.ratio(name, "densa")
        row["peers"][name] = entry
        ratio = f"{entry['by_densa']:.2f}x densa" if "by_densa" in entry else ""
        print(
            f"  {name:14} {entry['seconds']:7.3f} s an epoch ({entry['q1']:.3f}-{entry['q3']:.3f}),"
            f" first {first[name]:.2f} s, test accuracy {accuracy[name]:.3f} {ratio}",
            flush=True,
        )
    return row
