"""What a GPU can do at most, and what densa is to reach beside PyTorch: limits and targets."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from networks import Network

# Float operations in a clock of one multiprocessor by compute capability: float32 units; tensor
# cores with factors of TF32 and of 16 bits, sums in float32, dense. What is not here is unknown.
PER_CLOCK: dict[tuple[int, int], tuple[int, int, int]] = {
    (8, 0): (128, 1024, 2048),
    (9, 0): (256, 2048, 4096),
    (10, 0): (256, 4096, 8192),
}
# Numbers of cuDeviceGetAttribute: kHz of the multiprocessors and of the memory, bits of its bus.
CLOCK, MEMORY_CLOCK, MEMORY_BITS = 13, 36, 37
STATES = {"sgd": 1, "adam": 2, "adamw": 2}  # numbers that an optimizer keeps beside a weight


@dataclass(frozen=True)
class Limits:
    """TFLOP/s by format and TB/s of a GPU; None where unknown."""

    float32: float | None = None
    tf32: float | None = None
    bfloat16: float | None = None
    memory: float | None = None

    def text(self) -> str:
        """One line."""
        return (
            f"limits: float32 {known(self.float32)} TFLOP/s, TF32 {known(self.tf32)} TFLOP/s, "
            f"bfloat16 {known(self.bfloat16)} TFLOP/s, memory {known(self.memory)} TB/s"
        )


def known(value: float | None) -> str:
    """A number for people."""
    return "unknown" if value is None else f"{value:.3g}"


def driver_attributes(library: Any = None) -> dict[int, int]:
    """Clocks and bus of the first GPU by the driver's own functions; {} where there is none."""
    try:
        cuda = library or ctypes.CDLL("libcuda.so.1")
        device, value, found = ctypes.c_int(), ctypes.c_int(), {}
        if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
            return {}
        for number in (CLOCK, MEMORY_CLOCK, MEMORY_BITS):
            if not cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device) and value.value:
                found[number] = value.value
        return found
    except (OSError, AttributeError):
        return {}


def limits_of(facts: Mapping[str, Any], attributes: Mapping[int, int]) -> Limits:
    """The limits at the highest clocks.

    Args:
        facts: what densa says of the GPU.
        attributes: what the driver says.
    """
    if facts.get("emulated"):
        return Limits()
    clock = attributes.get(CLOCK)
    each = PER_CLOCK.get(tuple(facts["capability"]))
    rates: list[float | None] = [None] * 3
    if clock and each:
        rates = [facts["multiprocessors"] * n * clock / 1e9 for n in each]
    memory = None
    if MEMORY_CLOCK in attributes and MEMORY_BITS in attributes:  # two transfers in a clock
        memory = 2 * attributes[MEMORY_CLOCK] * attributes[MEMORY_BITS] / 8 / 1e9
    return Limits(*rates, memory=memory)


def step_bytes(net: Network) -> int:
    """Bytes that a training step reads and writes at least, if nothing stays in a cache.

    Weights and what the optimizer keeps are read and written, the batch is read.
    """
    count = sum(fan_in * fan_out + fan_out for fan_in, fan_out in net.kernels())
    if net.batch_norm:
        count += sum(2 * width for width in net.sizes[1:-1])
    item = 1 if net.input_dtype == "uint8" else 4
    return count * 8 * (1 + STATES[net.optimizer]) + net.batch * (net.sizes[0] * item + 4)


def least_us(flop: float, rate: float | None, size: float, memory: float | None) -> dict[str, Any]:
    """Microseconds that the float operations and the bytes of a row take at least."""
    return {
        "flop": flop,
        "flop_us": None if rate is None else flop / rate / 1e6,
        "bytes": size,
        "bytes_us": None if memory is None else size / memory / 1e6,
    }


# ---- targets ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """One target: what was asked for, what came out (None: no number), and whether it is met."""

    target: str
    asked: str
    got: str
    met: bool | None

    def text(self) -> str:
        """`met`, `missed` or `no number`."""
        return "no number" if self.met is None else "met" if self.met else "missed"


RATIOS = {  # of the rows that are training steps: PyTorch's time by densa's, eager and compiled
    "A": (10.0, 2.5),
    "C": (10.0, 2.5),
    "E": (8.0, 2.0),
    "D, bfloat16": (1.3, 1.0),
    "D at 4096, bfloat16": (1.3, 1.0),
}
PRODUCT, PRODUCT_GOAL, COPY_SHARE, ROW_US = 0.70, 0.95, 0.85, 8.0


def best(row: Mapping[str, Any] | None, *, default_only: bool = False) -> tuple[str, Any]:
    """The fastest form of densa that has a number in a row."""
    peers = {} if row is None else row["peers"]
    found = {
        name: peer
        for name, peer in peers.items()
        if "us" in peer and (name == "densa" or (not default_only and name.startswith("densa ")))
    }
    return min(found.items(), key=lambda item: item[1]["us"], default=("densa", None))


def judged_form(row: Mapping[str, Any]) -> str:
    """The form of densa that counts: its default for float32, the fastest for bfloat16."""
    return best(row, default_only="bfloat16" not in row["name"])[0]


def judge(rows: list[dict[str, Any]]) -> list[Verdict]:
    """All targets of the GPU.

    Float32 networks are judged in densa's default form, those in bfloat16 and the product in the
    fastest form whose answers were right.
    """
    by_name = {row["name"]: row for row in rows}
    verdicts = []
    for name, asked in RATIOS.items():
        row = by_name.get(name)
        form = "" if row is None else judged_form(row)
        for peer, least in zip(("torch", "torch-compile"), asked, strict=True):
            ratio = None if row is None else row["peers"].get(peer, {}).get("by", {}).get(form)
            got = "–" if ratio is None else f"{ratio:.2f}x ({form})"
            met = None if ratio is None else ratio >= least
            verdicts.append(Verdict(f"{name}: a training step by {peer}", f"{least:g}x", got, met))
    verdicts.append(judge_product(by_name.get("product bfloat16")))
    verdicts.append(judge_adamw(by_name.get("copy"), by_name.get("adamw")))
    _, peer = best(by_name.get("inference"), default_only=True)
    us = None if peer is None else peer["us"]
    got = "–" if peer is None else f"{us:.2f} µs ({peer['note']})"
    met = None if us is None else us <= ROW_US
    return [*verdicts, Verdict("A: one row on the device", f"at most {ROW_US:g} µs", got, met)]


def judge_product(row: dict[str, Any] | None) -> Verdict:
    """densa's product of bfloat16 numbers by cuBLAS'."""
    form, peer = best(row)
    other = None if row is None else row["peers"].get("torch", {}).get("us")
    asked = f"{PRODUCT:.0%} of cuBLAS (goal {PRODUCT_GOAL:.0%})"
    if peer is None or other is None:
        return Verdict("product of bfloat16 numbers", asked, "–", None)
    share = other / peer["us"]
    goal = ", the goal too" if share >= PRODUCT_GOAL else ""
    got = f"{share:.0%} ({form}{goal})"
    return Verdict("product of bfloat16 numbers", asked, got, share >= PRODUCT)


def judge_adamw(copies: dict[str, Any] | None, row: dict[str, Any] | None) -> Verdict:
    """densa's fused step by the better copy, each by the bytes that it has to move."""
    _, peer = best(row)
    rates = (
        {} if copies is None else {n: p["rate"] for n, p in copies["peers"].items() if "us" in p}
    )
    asked = f"{COPY_SHARE:.0%} of the better copy"
    if peer is None or not rates:
        return Verdict("a fused step of AdamW", asked, "–", None)
    fastest = max(rates, key=lambda name: rates[name])
    share = peer["rate"] / rates[fastest]
    return Verdict(
        "a fused step of AdamW", asked, f"{share:.0%} (copy: {fastest})", share >= COPY_SHARE
    )
