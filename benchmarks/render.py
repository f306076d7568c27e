"""The tables of the README and of docs/serving.md, written from the JSON results."""

from __future__ import annotations

from typing import Any

import common


def times(micros: float) -> str:
    """A time with three digits or all before the point, in µs or ms."""
    if micros >= 9995:
        return f"{digits(micros / 1e3)} ms"
    return f"{digits(micros)} µs"


def digits(value: float) -> str:
    """Three digits; never an exponent."""
    return f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"


def ratio(entry: dict[str, Any] | None) -> str:
    """How many times longer this peer takes than densa."""
    return f"{entry['by_densa']:.1f}x" if entry and "by_densa" in entry else ""


def time_of(entry: dict[str, Any] | None) -> str:
    """The peer's median, or nothing."""
    return times(entry["us"]) if entry else "–"


def machine_line(section: dict[str, Any]) -> str:
    """Where and when the numbers were taken."""
    machine = section["machine"]
    parts = [machine["cpu"]]
    if machine.get("clock_ghz"):
        parts.append(f"{machine['clock_ghz']:.2f} GHz")
    if machine.get("vector_bits"):
        parts.append(f"{machine['vector_bits']}-bit vectors")
    if machine.get("barrier_ns"):
        parts.append(f"two-thread barrier {machine['barrier_ns']:.0f} ns")
    return f"{', '.join(parts)}; {section['date']}."


def train_table(section: dict[str, Any]) -> str:
    """One row per network: densa, the better PyTorch, JAX, and the share of the peak."""
    rows = []
    for row in section["rows"]:
        peers = row["peers"]
        torch = peers.get(row.get("best_torch", ""))
        densa = peers.get("densa")
        share = densa.get("share_of_peak") if densa else None
        barrier = row["barrier_ns"]
        rows.append(
            [
                row["net"],
                row["title"],
                str(row["batch"]),
                str(row["threads"]),
                time_of(densa),
                time_of(torch),
                ratio(torch),
                time_of(peers.get("jax")),
                ratio(peers.get("jax")),
                f"{share:.0%}" if share else "",
                f"{barrier[1]:.0f} ns" if barrier else "",
            ]
        )
    head = ["", "network", "batch", "threads", "densa", "PyTorch", "", "JAX", "", "peak", "barrier"]
    return common.table(head, rows)


def fit_table(section: dict[str, Any]) -> str:
    """One row per library: seconds per epoch of the whole fit."""
    names = {
        "torch-loader": "PyTorch, DataLoader",
        "torch-index": "PyTorch, tensor indexing",
        "keras-jax": "Keras on JAX",
    }
    rows = []
    for row in section["rows"]:
        for name, entry in row["peers"].items():
            rows.append(
                [
                    names.get(name, name),
                    str(row["threads"]),
                    f"{entry['seconds']:.3g} s",
                    f"{entry['first_seconds']:.3g} s",
                    "" if name == "densa" else ratio(entry),
                    f"{entry['test_accuracy']:.3f}",
                ]
            )
    head = ["", "threads", "epoch", "first epoch", "by densa", "test accuracy"]
    return common.table(head, rows)


def ops_table(section: dict[str, Any]) -> str:
    """One row per op: densa beside NumPy and PyTorch, at the most threads measured.

    Of the matrix products only network A's first layer at batch 32 and 512 and network D's are
    shown; the JSON holds them all.
    """
    rows = []
    shown = ("32,784,300", "512,784,300", "256,1024,1024")
    most = max((row["threads"] for row in section["rows"]), default=1)
    for row in section["rows"]:
        shape = row["title"].split()[-1]
        if row["threads"] != most or (row["group"] == "matmul" and shape not in shown):
            continue
        peers = row["peers"]
        densa = peers.get("densa")
        share = densa.get("share") if densa else None
        rows.append(
            [
                row["title"],
                str(row["threads"]),
                *(time_of(peers.get(name)) for name in ("densa", "numpy", "torch")),
                f"{share:.0%} {row.get('limit', '')}" if share else "",
            ]
        )
    return common.table(["op", "threads", "densa", "NumPy", "PyTorch", "share"], rows)


_PEERS = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "torch": "PyTorch",
    "torchscript": "TorchScript",
}
# What was aimed at: how many times the best peer's time a float32 call takes less.
LATENCY_TARGETS = {
    ("A", 1): 2.0,
    ("A", 32): 1.5,
    ("A", 1024): 1.05,
    ("C", 1): 12.0,
    ("C", 32): 2.5,
    ("C", 1024): 1.8,
    ("D", 1): 1.15,
    ("D", 32): 1.1,
    ("D", 1024): 1.05,
    ("E", 1): 2.0,
}


def best_peer(section: dict[str, Any], row: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Name and entry of the fastest float32 peer with as many threads as `row`, or fewer."""
    found = [
        (f"{name}, {each['threads']}", each["engines"][key])
        for each in section["rows"]
        if (each["net"], each["rows"]) == (row["net"], row["rows"])
        and each["threads"] <= row["threads"]
        for key, name in _PEERS.items()
        if key in each["engines"]
    ]
    return min(found, key=lambda pair: pair[1]["us"]) if found else None


def latency_table(section: dict[str, Any]) -> str:
    """One row per network, batch and number of threads: p50 and p99, and the best peer's."""
    most = max(row["threads"] for row in section["rows"])
    rows = []
    for row in section["rows"]:
        engines = row["engines"]
        cells = [row["net"], row["title"], str(row["rows"]), str(row["threads"])]
        for name in ("densa", "densa-bf16", "densa-int8", "openvino-bf16", "onnxruntime"):
            entry = engines.get(name)
            cells.append(f"{times(entry['us'])} / {times(entry['p99'])}" if entry else "–")
        best = best_peer(section, row)
        ratio = best[1]["us"] / engines["densa"]["us"] if best and "densa" in engines else None
        cells.append(f"{times(best[1]['us'])} / {times(best[1]['p99'])}" if best else "–")
        cells.append(best[0] if best else "")
        cells.append(f"{ratio:.2f}x" if ratio else "")
        target = LATENCY_TARGETS.get((row["net"], row["rows"])) if row["threads"] == most else None
        met = "met" if ratio and target and ratio >= target else "missed"
        cells.append(f"{target:g}x: {met}" if target and ratio else "")
        rows.append(cells)
    head = ["", "network", "rows", "threads", "densa", "bfloat16", "int8", "OpenVINO bfloat16"]
    head += ["ONNX Runtime", "best peer", "which, threads", "ratio", "target"]
    return common.table(head, rows)


def narrow_targets(section: dict[str, Any]) -> list[str]:
    """What was aimed at for int8, where the rows of network D were measured."""
    most = max(row["threads"] for row in section["rows"])
    cases = {
        1024: ("openvino-bf16", "OpenVINO's bfloat16", 1.6),
        1: ("densa", "float32", 3.0),
    }
    lines = []
    for row in section["rows"]:
        engine, name, target = cases.get(row["rows"], ("", "", 0.0))
        engines = row["engines"]
        if row["net"] != "D" or row["threads"] != most or not {engine, "densa-int8"} <= {*engines}:
            continue
        ratio = engines[engine]["us"] / engines["densa-int8"]["us"]
        lines.append(
            f"int8 on D, rows {row['rows']}: {ratio:.2f}x {name}"
            f" (target {target:g}x: {'met' if ratio >= target else 'missed'})."
        )
    return lines


def latency_page(section: dict[str, Any]) -> str:
    """The table with what it says."""
    versions = {
        name: entry["version"] for row in section["rows"] for name, entry in row["engines"].items()
    }
    overhead = section.get("overhead")
    lines = [
        "Time of one call from Python, NumPy array in, NumPy array out: p50 / p99 of all calls"
        " in interleaved slots. The best peer is that of the lowest p50 in float32, with as many"
        " threads as densa or fewer.\n",
        latency_table(section),
        "",
        *narrow_targets(section),
    ]
    if overhead:
        lines.append(
            f"A call of a network with one weight takes {overhead['tiny_us']:.3f} µs, without"
            f" Python (the C function in a loop) {overhead['kernel_us']:.3f} µs: Python costs"
            f" {overhead['tiny_us'] - overhead['kernel_us']:.3f} µs (target 0.2 µs);"
            f" `numpy.negative` of one number takes {overhead['numpy_us']:.3f} µs."
        )
    lines += [
        "",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
        "",
        machine_line(section),
    ]
    return "\n".join(lines)


def serving(section: dict[str, Any]) -> str:
    """The table of `docs/serving.md`: requests a second and latencies, by server."""
    rows = [
        [
            row["server"],
            str(row["connections"]),
            row["form"],
            row["name"],
            f"{row['per_second']:.0f}",
            times(row["p50_us"]),
            times(row["p99_us"]),
        ]
        for row in section["rows"]
    ]
    head = ["server", "connections", "request", "", "requests/s", "p50", "p99"]
    software = section["machine"]["software"]
    return "\n".join([common.table(head, rows), "", f"{software}; {machine_line(section)}"])


def markdown(results: dict[str, Any]) -> str:
    """All tables there are results for."""
    parts = []
    if "train" in results:
        names = {"torch": "eager with fused optimizers", "torch-compile": "torch.compile"}
        ran = [
            text
            for name, text in names.items()
            if any(name in row["peers"] for row in results["train"]["rows"])
        ]
        faster = ", whichever is faster" if len(ran) > 1 else ""
        parts.append(
            "Time of one training step (batch gathered from shuffled rows, forward, backward,"
            f" update), median of interleaved runs; PyTorch is {' or '.join(ran)}{faster}; JAX is"
            " jit with optax and donated buffers, `peak` is densa's share of the machine's"
            " measured FMA peak.\n"
        )
        parts += [train_table(results["train"]), "", machine_line(results["train"]), ""]
    if "fit" in results:
        data = results["fit"]["rows"][0]["data"] if results["fit"]["rows"] else ""
        parts.append(f"A whole `fit` of network A ({data}, batch 32), progress and accuracy on.\n")
        parts += [fit_table(results["fit"]), "", machine_line(results["fit"]), ""]
    if "ops" in results:
        parts.append(
            "Single operations. densa's matrix products run as in a training plan, on panels that"
            " stay packed (dy·Wᵀ includes turning dy); rows named eager pack their operands in"
            " every call. NumPy and PyTorch get row-major arrays.\n"
        )
        parts += [ops_table(results["ops"]), "", machine_line(results["ops"]), ""]
    return "\n".join(parts)
