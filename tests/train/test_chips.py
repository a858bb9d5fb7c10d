"""Peaks: of chips, however many devices they are."""

import dataclasses
import itertools

import jax
import pytest

from train import chips

pytestmark = pytest.mark.fast


@dataclasses.dataclass
class Tpu:
    device_kind: str
    id: int
    coords: tuple[int, int, int]
    slice_index: int = 0


@dataclasses.dataclass
class Gpu:
    device_kind: str
    id: int


def tpus(kind: str, *, num_chips: int, cores: int, num_slices: int = 1) -> list[Tpu]:
    numbers = itertools.count()
    return [
        Tpu(kind, next(numbers), (chip, 0, 0), part)
        for part in range(num_slices)
        for chip in range(num_chips)
        for _ in range(cores)
    ]


def test_two_devices_of_a_chip_share_its_peak():
    assert chips.peak_flops_per_s(tpus("TPU7x", num_chips=4, cores=2)) == 4 * 2307e12
    assert chips.peak_flops_per_s(tpus("TPU v4", num_chips=4, cores=1)) == 4 * 275e12
    assert chips.peak_flops_per_s(tpus("TPU v4", num_chips=4, cores=2)) == 4 * 275e12


def test_slices_have_chips_of_the_same_coordinates():
    assert chips.peak_flops_per_s(tpus("TPU v6 lite", num_chips=4, cores=1, num_slices=2)) == 8 * 918e12


def test_gpus_are_a_chip_each():
    assert chips.peak_flops_per_s([Gpu("NVIDIA H100 80GB HBM3", i) for i in range(8)]) == 8 * 989e12


def test_an_unknown_kind_has_no_peak():
    assert chips.peak_flops_per_s([Gpu("NVIDIA H100 80GB HBM3", 0), Gpu("Abacus", 1)]) is None
    assert chips.peak_flops_per_s(jax.devices()) is None


@pytest.mark.parametrize(
    ("topology", "num_chips"),
    [
        ("v2:2x2", 4),
        ("v3:2x2", 4),
        ("v4:2x2x1", 4),
        ("v5e:2x2", 4),
        ("v5p:2x2x1", 4),
        ("v6e:2x2", 4),
        ("tpu7x:2x2x1", 4),
    ],
)
def test_the_names_are_those_that_jax_gives(topology, num_chips):
    pytest.importorskip("libtpu", reason="make setup-plan installs it")
    from train.parallel import topology as topologies

    devices = topologies.devices(topology)
    assert chips.peak_flops_per_s(devices) == num_chips * chips.PEAK_FLOPS_PER_S[devices[0].device_kind]
