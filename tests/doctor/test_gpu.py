"""The doctor on GPUs: a stand-in for nvidia-smi says what the real one says, and is run as the real one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.environment import Gpu
from harness.doctor.checks import examine
from harness.doctor.finding import Finding
from harness.doctor.machine import Machine

Laid = Callable[..., Machine]
Find = Callable[..., Finding]
Smi = Callable[..., None]
NAME = "NVIDIA H100 80GB HBM3"
GPUS = tuple(Gpu(index, NAME, f"GPU-{index}", (9, 0), 80 << 30, 79 << 30) for index in range(2))
# What a resting H100 says, in the words and the order of driver 575; {0} is its number.
REST = """<gpu id="0000000{0}:01:00.0">
    <product_name>NVIDIA H100 80GB HBM3</product_name>
    <persistence_mode>Enabled</persistence_mode>
    <uuid>GPU-{0}</uuid>
    <clocks_event_reasons>
        <clocks_event_reason_gpu_idle>Active</clocks_event_reason_gpu_idle>
        <clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown>
        <clocks_event_reason_sw_thermal_slowdown>Not Active</clocks_event_reason_sw_thermal_slowdown>
    </clocks_event_reasons>
    <utilization><gpu_util>0 %</gpu_util><memory_util>0 %</memory_util></utilization>
    <temperature>
        <gpu_temp>31 C</gpu_temp>
        <gpu_temp_tlimit>54 C</gpu_temp_tlimit>
        <gpu_temp_slow_tlimit_threshold>-2 C</gpu_temp_slow_tlimit_threshold>
    </temperature>
    <gpu_power_readings>
        <average_power_draw>70.11 W</average_power_draw>
        <current_power_limit>700.00 W</current_power_limit>
        <default_power_limit>700.00 W</default_power_limit>
    </gpu_power_readings>
    <applications_clocks><graphics_clock>1980 MHz</graphics_clock></applications_clocks>
    <default_applications_clocks><graphics_clock>1980 MHz</graphics_clock></default_applications_clocks>
    <processes>
    </processes>
</gpu>"""
TRAINING = """<process_info>
    <pid>4242</pid>
    <type>C</type>
    <process_name>/usr/bin/python3 train.py --epochs 3</process_name>
    <used_memory>40000 MiB</used_memory>
</process_info>"""
SCREEN = TRAINING.replace("<type>C<", "<type>G<").replace("/usr/bin/python3 train.py --epochs 3", "Xorg")


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    """Return a function that puts an nvidia-smi first in the PATH, which tells of GPUs with some texts replaced."""

    def put(first: dict[str, str], second: dict[str, str] | None = None) -> None:
        documents = []
        for index, changes in enumerate((first, second or {})):
            document = REST.format(index)
            for old, new in changes.items():
                assert old in document
                document = document.replace(old, new)
            documents.append(document)
        head = '<?xml version="1.0" ?>\n<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">\n<nvidia_smi_log>'
        head += "<driver_version>575.51.02</driver_version><cuda_version>12.9</cuda_version>"
        (tmp_path / "says").write_text(f"{head}{''.join(documents)}</nvidia_smi_log>\n")
        script = tmp_path / "bin" / "nvidia-smi"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\n[ "$*" = "-q -x" ] && cat "{tmp_path}/says"\n')
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")

    return put


def looked_at(laid: Laid, built: str = "12.8") -> Machine:
    return laid(gpus=GPUS, gpu_reason="", driver="575.51.02", torch_cuda=built)


def test_resting_gpus_have_nothing_to_put_right_and_one_line_a_question(laid: Laid, smi: Smi) -> None:
    smi({})
    found = examine(looked_at(laid))["GPU"]
    assert {finding.status for finding in found} == {"pass"}
    assert [finding.figure for finding in found] == [
        f"2 x {NAME}, driver 575.51.02, CUDA 12.9",
        "none",
        "on",
        "1980 MHz, the default",
        "700 W, the default",
        "31 °C, 54 below the limit",
    ]


@pytest.mark.parametrize(
    ("changes", "name", "status", "figure", "remedy"),
    [
        (
            {"<processes>": f"<processes>{TRAINING}", "<gpu_util>0 %": "<gpu_util>97 %"},
            "processes",
            "fail",
            "python3 (pid 4242), busy 97 %",
            "kill 4242",
        ),
        ({"<processes>": f"<processes>{TRAINING}"}, "processes", "warn", "busy 0 %", "kill 4242"),
        ({"<gpu_util>0 %": "<gpu_util>97 %"}, "processes", "fail", "cannot be seen from here", "--device cuda:N"),
        ({"<processes>": f"<processes>{SCREEN}"}, "processes", "warn", "a screen is drawn", "graphical session"),
        ({"Enabled": "Disabled"}, "persistence", "warn", "off", "sudo nvidia-smi -pm 1"),
        (
            {"<applications_clocks><graphics_clock>1980": "<applications_clocks><graphics_clock>1200"},
            "GPU clocks",
            "warn",
            "1200 MHz, default 1980 MHz",
            "sudo nvidia-smi -i 1 -rac",
        ),
        ({"1980 MHz": "Requested functionality has been deprecated"}, "GPU clocks", "unknown", "is not told", ""),
        (
            {"<current_power_limit>700": "<current_power_limit>300"},
            "power limit",
            "warn",
            "300 W, default 700 W",
            "sudo nvidia-smi -i 1 -pl 700",
        ),
        ({"<gpu_temp_tlimit>54": "<gpu_temp_tlimit>6"}, "GPU heat", "warn", "6 below the limit", "cool down"),
        ({"<gpu_temp_tlimit>54": "<gpu_temp_tlimit>-1"}, "GPU heat", "fail", "-1 below the limit", "cool down"),
        (
            {"sw_thermal_slowdown>Not Active": "sw_thermal_slowdown>Active"},
            "GPU heat",
            "fail",
            "slowed down now (sw_thermal_slowdown)",
            "cool down",
        ),
    ],
)
def test_the_gpu_that_stands_out_is_named(
    laid: Laid, find: Find, smi: Smi, changes: dict[str, str], name: str, status: str, figure: str, remedy: str
) -> None:
    smi({}, changes)
    finding = find(looked_at(laid), name)
    assert finding.status == status
    assert finding.figure.startswith("GPU 1: ")
    assert figure in finding.figure
    assert "GPU 0" not in finding.figure
    assert remedy in finding.remedy


def test_older_drivers_and_boards_use_other_words(laid: Laid, find: Find, smi: Smi) -> None:
    old = {
        "gpu_power_readings": "power_readings",
        "average_power_draw": "power_draw",
        "current_power_limit": "power_limit",
        ">700.00 W</power_limit": ">350.00 W</power_limit",
        "clocks_event_reason": "clocks_throttle_reason",
        "hw_slowdown>Not Active": "hw_slowdown>Active",
        "<gpu_temp_tlimit>54 C</gpu_temp_tlimit>": "<gpu_temp_slow_threshold>89 C</gpu_temp_slow_threshold>",
    }
    smi(old, old)
    machine = looked_at(laid)
    assert find(machine, "power limit").figure == "350 W, default 700 W"
    assert find(machine, "GPU heat").figure == "31 °C, 58 below the limit; slowed down now (hw_slowdown)"
    assert "NVML (2 GPUs)" in find(machine, "energy").figure


def test_a_driver_that_is_older_than_the_build_of_torch_is_a_failure(laid: Laid, find: Find, smi: Smi) -> None:
    smi({})
    finding = find(looked_at(laid, built="13.0"), "torch")
    assert finding.status == "fail"
    assert "driver 575.51.02 ends at CUDA 12.9" in finding.figure
    assert "a build of torch for CUDA 12" in finding.remedy
    assert find(looked_at(laid, built="12.8"), "torch").status == "pass"
    assert find(looked_at(laid, built=""), "torch").status == "warn"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "does not say more: "),
        ("echo 'Unable to determine the device handle'; exit 15", "exit status 15"),
        (f"echo '<nvidia_smi_log>{REST.format(0)}</nvidia_smi_log>'; exit 15", "exit status 15"),
        ("echo '<nvidia_smi_log>'", "does not say more: no element found"),
        (f"echo '<nvidia_smi_log>{REST.format(7)}</nvidia_smi_log>'", "does not list them"),
    ],
    ids=["missing", "broken", "failing", "cut", "other GPUs"],
)
def test_without_the_tool_the_gpus_are_named_and_why_no_more_is_told(
    laid: Laid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, reason: str
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    if script:
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    (finding,) = examine(looked_at(laid))["GPU"]
    assert finding.status == "unknown"
    assert finding.figure.startswith(f"2 x {NAME}; nvidia-smi ")
    assert reason in finding.figure
