"""What is said of the machine."""

from __future__ import annotations

from bench.machine import CpuTime, cpu_model, cpu_time, describe

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


def test_what_the_hypervisor_takes_is_the_eighth_number() -> None:
    """proc_stat(5): user nice system idle iowait irq softirq steal guest guest_nice; the last two are in the first."""
    before = cpu_time("cpu  10 20 30 400 5 6 7 22 3 4\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
    assert before == CpuTime(22, 500)
    assert CpuTime(32, 700).stolen_since(before) == 0.05
    assert before.stolen_since(before) == 0.0


def test_this_machine_tells_too() -> None:
    assert 0 <= cpu_time().stolen <= cpu_time().total
