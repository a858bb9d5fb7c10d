"""What an accelerator can do at most, for the share of it that a run uses."""

from collections.abc import Mapping, Sequence
from typing import Protocol

# Dense bf16 FLOP/s of a whole chip, by the name that JAX gives its devices. A TPU's is the "peak compute per chip" at
# https://docs.cloud.google.com/tpu/docs/v4 and its neighbours v3, v5e, v5p, v6e, tpu7x; v2's is a quarter of a board's
# 180 TFLOP/s. An NVIDIA GPU's, without sparsity, stands at https://www.nvidia.com/en-us/data-center/h100/ and its
# neighbours a100, h200, dgx-b200.
PEAK_FLOPS_PER_S: Mapping[str, float] = {
    "TPU v2": 45e12,
    "TPU v3": 123e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5": 459e12,  # v5p
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU7x": 2307e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA H200": 989e12,
    "NVIDIA B200": 2250e12,
}


class Device(Protocol):
    """What is asked of a `jax.Device`."""

    @property
    def device_kind(self) -> str: ...

    @property
    def id(self) -> int: ...


def peak_flops_per_s(devices: Sequence[Device]) -> float | None:
    """Of all chips that these devices are, or None if one is of a kind that the table does not know.

    A TPU chip may be one device or two (v2, v3, tpu7x; v4 without megacore): they share their coordinates.
    """
    chips = {_chip(device): device.device_kind for device in devices}
    if not set(chips.values()) <= PEAK_FLOPS_PER_S.keys():
        return None
    return sum(PEAK_FLOPS_PER_S[kind] for kind in chips.values())


def _chip(device: Device) -> tuple[object, ...]:
    """What two devices have in common that are one chip."""
    coordinates = getattr(device, "coords", None)
    return (device.id,) if coordinates is None else (getattr(device, "slice_index", 0), *coordinates)
