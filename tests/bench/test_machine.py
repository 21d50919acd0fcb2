"""What is said of the machine."""

from __future__ import annotations

from bench.machine import cpu_model, describe

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 207
model name\t: Intel(R) Xeon(R) Processor
flags\t\t: fpu vme {flags} sse2

processor\t: 1
model name\t: Another
"""


def test_a_processor_has_a_name_and_a_model() -> None:
    assert cpu_model(CPUINFO.format(flags="")) == "Intel(R) Xeon(R) Processor (family 6, model 207)"


def test_a_virtual_machine_is_one() -> None:
    assert cpu_model(CPUINFO.format(flags="hypervisor")).endswith("(family 6, model 207), virtual machine")


def test_other_architectures_have_something_to_say() -> None:
    assert cpu_model("processor\t: 0\nCPU implementer\t: 0x41\n") != ""


def test_everything_that_a_report_tells_is_there() -> None:
    assert {"commit", "date", "cpu", "cores", "kernel", "system", "load"} == set(describe())
    assert all(describe().values())
