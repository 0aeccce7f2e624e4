"""What a reader of a report sees of roofs, memory, energy, errors and raw samples, in runs with known numbers."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.ceilings import Ceilings
from harness.core.environment import Gpu
from harness.core.run import Run
from harness.core.suite import Policy
from harness.core.trial import OK, Launch, Rest, Sample, Trial
from harness.core.workload import Cost
from harness.report.figure import Figure
from harness.report.html import Html
from harness.report.notebook import convert_to_plotly
from harness.report.page import render_page
from harness.report.panels import accuracy, distributions, energy, memory, roofline, timeline, training
from harness.report.samples import thin_values
from harness.report.study import Study, build_study
from tests.support.runs import here, recorded_run

MINE = (roofline, memory, energy, accuracy, training, distributions, timeline)
H100 = Gpu(0, "NVIDIA H100 80GB HBM3", "GPU-1", (9, 0), 80 << 30, 79 << 30)
ON_H100 = {"policy": Policy(device="cuda:0", threads=1, launches=2), "gpus": (H100,)}
ROOFS = Ceilings({"bf16": 965e9, "fp32": 100e9}, 20e9, 1e-6, "2026-11-25T00:00:00Z")


@dataclass
class Measured:
    """What a case came to: the times of each launch's rounds, and other samples of its first launch."""

    launches: Sequence[Sequence[float]] = ((1e-3, 1e-3), (1e-3, 1e-3))
    extra: Sequence[Sample] = ()
    cost: Cost = field(default_factory=lambda: Cost(8e6, 1e6))
    flags: Mapping[int, str] = field(default_factory=dict)


Cases = Mapping[str, Measured]


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """Return a function that writes runs of ``work``, each by question and implementation, and reads them back."""

    def run(questions: Mapping[int, Cases], ceilings: Ceilings | None, rests: Sequence[Rest], **machine: Any) -> Run:
        policy = machine.pop("policy", Policy(device="cpu", threads=1, launches=2))
        groups, trials = [], list[Trial]()
        for n, cases in questions.items():
            named = {name: Case("work", name, (("n", n), ("dtype", "bf16"))) for name in cases}
            planned = tuple(PlannedCase(case, cases[name].cost) for name, case in named.items())
            groups.append(Group(planned[0].case.group, next(iter(cases)), planned))
            for name, one in cases.items():
                trials += _trials(named[name], one)
        return recorded_run(
            tmp_path / "results",
            groups,
            [Launch(0, "", {}), *rests, *trials],
            policy=policy,
            environment=here(**machine),
            ceilings=ceilings,
        )

    def build(
        *runs: Mapping[int, Cases],
        ceilings: Ceilings | None = None,
        rests: Sequence[Rest] = (),
        machines: Sequence[dict[str, Any]] = (),
        **machine: Any,
    ) -> Study:
        each = machines or [machine] * len(runs)
        return build_study([run(one, ceilings, rests, **dict(its)) for one, its in zip(runs, each, strict=True)])

    return build


def _trials(case: Case, one: Measured) -> Iterator[Trial]:
    for launch, rounds in enumerate(one.launches):
        flags = one.flags.get(launch, "")
        samples = [Sample("time", value, number, 0, flags) for number, value in enumerate(rounds)]
        yield Trial(case, launch, OK, samples=[*samples, *(one.extra if launch == 0 else ())])


def drawn(study: Study, panel: ModuleType) -> tuple[dict[str, Figure], list[str]]:
    """Return the figures of a panel by name, or by question, and the text of its notes; Plotly accepts each of them."""
    blocks = list(panel.draw_panel(study))
    figures = {block.group or block.name: block for block in blocks if isinstance(block, Figure)}
    for figure in figures.values():
        convert_to_plotly(figure)
        assert all(math.isfinite(number) for number in _numbers([figure.data, figure.layout]))
    return figures, [block.render() for block in blocks if isinstance(block, Html)]


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | np.ndarray):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, float | np.floating):
        yield float(value)


def traces(figure: Figure, **wanted: Any) -> list[dict[str, Any]]:
    return [trace for trace in figure.data if all(trace.get(key) == value for key, value in wanted.items())]


def named(figure: Figure, name: str) -> dict[str, Any]:
    return traces(figure, name=name)[0]


def labels(figure: Figure) -> list[str]:
    return [note["text"] for note in figure.layout["annotations"]]


def row(figure: Figure, label: str) -> list[dict[str, Any]]:
    """Return the traces of the row with that label."""
    number = labels(figure).index(label)
    return traces(figure, yaxis="y" if number == 0 else f"y{number + 1}")


def test_cases_stand_at_their_operations_a_byte_and_a_second(study) -> None:
    found = study({4: {"base": Measured(), "fast": Measured([[2e-4] * 2] * 2)}}, ceilings=ROOFS)
    figures, notes = drawn(found, roofline)
    assert (named(figures["roofline"], "base")["x"], named(figures["roofline"], "base")["y"]) == ([8.0], [8e9])
    assert named(figures["roofline"], "fast")["y"] == pytest.approx([4e10])
    assert "25% of the roof" in named(figures["roofline"], "fast")["hovertext"][0]
    assert notes == []


def test_roofs_are_drawn_at_what_was_measured_in_the_dtypes_of_the_cases(study) -> None:
    figure = drawn(study({4: {"base": Measured()}}, ceilings=ROOFS), roofline)[0]["roofline"]
    slope, level = traces(figure, name="measured")
    assert [y / x for x, y in zip(slope["x"], slope["y"], strict=True)] == pytest.approx([20e9, 20e9])
    assert level["y"] == [965e9, 965e9]
    assert level["x"][0] == slope["x"][1] == pytest.approx(965 / 20)
    assert level["text"] == ["", "measured, bf16 965 GFLOP/s"]
    assert slope["text"] == ["measured, memory 20.0 GB/s", ""]


def test_roofs_that_nearly_coincide_have_one_name(study) -> None:
    both = {"a": Measured(), "b": Measured()}
    close = replace(ROOFS, flops_per_s={"bf16": 965e9, "fp16": 950e9})
    figure = drawn(study({4: both}, ceilings=close), roofline)[0]["roofline"]
    assert not any("fp16" in text for trace in figure.data for text in trace.get("text", ()))
    roofs = roofline._together({"bf16": 965e9, "fp16": 950e9, "fp32": 1e9})
    assert roofs == [("fp32 1.00 GFLOP/s", [1e9]), ("fp16 950 GFLOP/s, bf16 965 GFLOP/s", [950e9, 965e9])]


def test_without_roofs_the_points_stand_alone_and_a_note_says_how_to_measure_them(study) -> None:
    figures, notes = drawn(study({4: {"base": Measured()}}, cpu_model="Frugal 9000"), roofline)
    assert [trace["name"] for trace in figures["roofline"].data] == ["base"]
    assert "roofs of Frugal 9000 were not measured. <code>bench doctor --ceilings</code>" in notes[0]


def test_what_the_maker_states_is_said_to_be_stated_and_where(study) -> None:
    figures, notes = drawn(study({4: {"base": Measured()}}, ceilings=ROOFS, **ON_H100), roofline)
    slope, level = traces(figures["roofline"], name="stated")
    assert level["y"] == [989e12, 989e12]
    assert slope["y"][0] / slope["x"][0] == pytest.approx(3.35e12)
    assert (level["line"]["dash"], level["line"]["width"]) == ("dash", 1)
    assert (slope["text"], level["text"]) == (["", ""], ["", "stated, bf16 989 TFLOP/s"])
    assert "memory 3.35 TB/s (NVIDIA H100 datasheet, 2023" in notes[0]
    alone = drawn(study({4: {"base": Measured()}}, **ON_H100), roofline)[0]["roofline"]
    assert traces(alone, name="stated")[0]["text"] == ["stated, memory 3.35 TB/s", ""]


def test_of_several_machines_the_legend_tells_the_roofs_apart(study) -> None:
    one = {4: {"base": Measured()}}
    found = study(one, one, ceilings=ROOFS, machines=[ON_H100, {"cpu_model": "Frugal 9000"}])
    figure = drawn(found, roofline)[0]["roofline"]
    shown = [trace["name"] for trace in figure.data if trace.get("showlegend", True)]
    assert shown[:2] == ["NVIDIA H100 80GB HBM3, measured", "NVIDIA H100 80GB HBM3, stated"]
    assert shown[2:] == ["base", "NVIDIA H100 80GB HBM3", "Frugal 9000"]
    assert not any(trace["mode"].endswith("text") for trace in figure.data)


@pytest.mark.parametrize("cost", [Cost(), Cost(flops=1e6), Cost(bytes=1e6)])
def test_without_operations_and_bytes_there_is_no_roofline(study, cost) -> None:
    assert drawn(study({4: {"base": Measured(cost=cost)}}, ceilings=ROOFS), roofline) == ({}, [])


def test_memory_of_host_and_device_stand_apart_and_so_do_metrics(study) -> None:
    extra = [Sample("peak_memory", 3e6), Sample("peak_allocated", 2e6)]
    extra += [Sample("device_peak_allocated", 5e8), Sample("device_peak_reserved", 6e8), Sample("device_used_delta", 0)]
    figures, _ = drawn(study({4: {"base": Measured(extra=extra)}}, **ON_H100), memory)
    assert list(figures) == ["memory-device", "memory-host"]
    device, host = figures.values()
    assert [trace["x"] for trace in traces(host, name="base")] == [[3e6], [2e6]]
    assert [trace["x"] for trace in traces(device, name="base")][:2] == [[5e8], [6e8]]
    assert [trace["marker"]["symbol"] for trace in device.data[:3]] == ["circle", "circle-open", "circle-open-dot"]
    assert [trace["showlegend"] for trace in device.data[:3]] == [True, False, False]
    assert [trace["name"] for trace in host.data[2:]] == ["peak memory", "peak allocated"]
    assert all((tick / 2**18).is_integer() for tick in host.layout["xaxis"]["tickvals"])


def test_memory_of_zero_stands_at_the_tick_of_zero(study) -> None:
    cases = {name: Measured(extra=[Sample("peak_memory", value)]) for name, value in (("base", 1 << 20), ("none", 0.0))}
    figure = drawn(study({4: cases}), memory)[0]["memory-host"]
    axis = figure.layout["xaxis"]
    assert axis["ticktext"][0] == "0"
    assert named(figure, "none")["x"] == [axis["tickvals"][0]]
    assert named(figure, "none")["hovertext"] == ["none, work: 0 B, peak memory"]


def test_time_stands_against_memory_where_a_point_has_several_implementations(study) -> None:
    peak = [Sample("peak_memory", 1e6)]
    alone = study({4: {"base": Measured(extra=peak)}, 8: {"base": Measured(extra=peak)}})
    assert list(drawn(alone, memory)[0]) == ["memory-host"]
    both = {"base": Measured(extra=peak), "fast": Measured([[1e-4] * 2] * 2, extra=[Sample("peak_memory", 4e6)])}
    figure = drawn(study({4: both, 8: both}), memory)[0]["memory-host-time"]
    assert (named(figure, "fast")["x"], named(figure, "fast")["y"]) == ([4e6, 4e6], [1e-4, 1e-4])
    line, names = figure.data[0], figure.data[1]
    assert line["y"] == [1e-3, 1e-4, None] * 2
    assert (names["text"], names["x"]) == (["n=4", "n=8"], [4e6, 4e6])


def joules(value: float, provenance: str = "measured: NVML total energy (gpu)") -> list[Sample]:
    uncertainty = 0.1 * value
    return [
        Sample("energy_gross", value, 0, 0, "", uncertainty, provenance),
        Sample("power_mean", value / 1e-3, 0, 0, "", uncertainty / 1e-3, provenance),
    ]


def test_energy_has_its_uncertainty_and_says_how_it_was_come_by(study) -> None:
    found = study({4: {"base": Measured(extra=joules(0.5))}}, rests=[Rest("", 100.0, 1.0, "measured")])
    figure = drawn(found, energy)[0]["energy"]
    gross, net = traces(figure, name="base")
    assert (gross["x"], net["x"]) == ([0.5], pytest.approx([0.5 - 100.0 * 1e-3]))
    assert gross["error_x"]["array"][0] == pytest.approx(0.05, rel=0.1)
    assert "measured: NVML total energy (gpu)" in gross["hovertext"][0]
    assert [trace["name"] for trace in figure.data[2:]] == ["energy", "net energy"]


def test_along_a_line_energy_times_delay_is_a_power_of_ten(study) -> None:
    cases = {"base": Measured(extra=joules(0.5)), "slow": Measured([[5e-2] * 2] * 2, extra=joules(0.2))}
    figure = drawn(study({4: cases}), energy)[0]["energy-time"]
    lines = [trace for trace in figure.data if "name" not in trace]
    products = [{round(math.log10(x * y), 6) for x, y in zip(one["x"], one["y"], strict=True)} for one in lines]
    assert products == [{-4.0}, {-3.0}, {-2.0}]
    assert [one["text"][1] for one in lines][:2] == ["", "EDP 1.00 mJ·s"]  # a short one has no space for its name
    assert (named(figure, "slow")["x"], named(figure, "slow")["y"]) == ([5e-2], [0.2])
    assert "EDP 500 uJ·s" in named(figure, "base")["hovertext"][0]


def test_energy_that_was_not_measured_is_said_to_be_and_why(study) -> None:
    none = [Sample("energy_gross", math.nan, 0, provenance="unavailable: no RAPL counters")]
    figures, notes = drawn(study({4: {"base": Measured(extra=none), "other": Measured(extra=none)}}), energy)
    assert figures == {}
    assert "Not measured, no RAPL counters: all 2 cases." in notes[0]
    figures, notes = drawn(study({4: {"base": Measured(extra=joules(0.5)), "other": Measured(extra=none)}}), energy)
    assert [trace["name"] for trace in figures["energy"].data if trace.get("meta")] == ["base"]
    assert "Not measured, no RAPL counters: other, work." in notes[0]


def test_energy_that_was_not_asked_for_is_no_news(study) -> None:
    none = [Sample("energy_gross", math.nan, 0, provenance="unavailable: not asked for")]
    assert drawn(study({4: {"base": Measured(extra=none)}}), energy) == ({}, [])


def test_net_energy_below_zero_has_no_logarithm_and_is_written(study) -> None:
    found = study({4: {"base": Measured(extra=joules(0.5))}}, rests=[Rest("", 600.0, 1.0, "measured")])
    figures, notes = drawn(found, energy)
    assert len(traces(figures["energy"], name="base")) == 1
    assert "-100 mJ net, no more than the device draws at rest" in notes[0]


PAIRS = ((1e-3, 0.0), (1e-4, 2e-3))


def errors(largest: float, rms: float) -> list[Sample]:
    return [Sample("max_abs_error", largest), Sample("rms_error", rms)]


def test_errors_stand_against_time_and_zeros_at_a_tick_of_their_own(study) -> None:
    cases = {
        "base": Measured(extra=errors(0.0, 0.0)),
        "fast": Measured([[1e-4] * 2] * 2, extra=errors(2e-3, 1e-4)),
    }
    figures, notes = drawn(study({4: cases}), accuracy)
    figure = figures["accuracy"]
    axis = figure.layout["xaxis"]
    assert (axis["ticktext"][0], axis["tickvals"][0]) == ("0", pytest.approx(1e-5))
    assert [trace["x"] for trace in traces(figure, name="base")] == [[axis["tickvals"][0]]] * 2
    assert [trace["x"] for trace in traces(figure, name="fast")] == [[2e-3], [1e-4]]
    assert named(figure, "fast")["y"] == [1e-4]
    assert "largest error exactly 0, 1.00 ms" in named(figure, "base")["hovertext"][0]
    assert "largest error is exactly 0 in 1 of 2 cases" in notes[0]


def test_the_error_of_a_backward_pass_is_drawn_and_counted(study) -> None:
    grads = [Measured([[time] * 2] * 2, extra=[Sample("grad_max_abs_error", error)]) for time, error in PAIRS]
    figures, notes = drawn(study({4: {"base": grads[0], "fast": grads[1]}}), accuracy)
    assert named(figures["accuracy"], "fast")["x"] == [2e-3]
    assert "largest gradient error 0.002, 100 us" in named(figures["accuracy"], "fast")["hovertext"][0]
    assert "The largest gradient error is exactly 0 in 1 of 2 cases." in notes[0]
    (line, _) = (trace for trace in figures["accuracy"].data if "lines" in trace["mode"] or trace["mode"] == "text")
    assert line["meta"] == {"cases": [0, 1, None]}


def test_no_kind_of_error_is_left_out_of_the_figure_of_errors(study) -> None:
    kinds = ("max_abs_error", "grad_max_abs_error", "gradient_error", "rms_error")
    cases = {"base": Measured(extra=[Sample(kind, 1e-3) for kind in kinds])}
    figure = drawn(study({4: cases}), accuracy)[0]["accuracy"]
    mine = traces(figure, name="base")
    assert len({trace["marker"]["symbol"] for trace in mine}) == len(mine) == len(kinds)


def test_without_zeros_no_tick_says_zero(study) -> None:
    figures, notes = drawn(study({4: {"base": Measured(extra=errors(1e-3, 1e-4))}}), accuracy)
    assert "0" not in figures["accuracy"].layout["xaxis"]["ticktext"]
    assert notes == []


def test_every_sample_stands_on_the_line_of_its_launch_with_its_median(study) -> None:
    times = [[1e-3, 3e-3, 2e-3], [5e-3, 4e-3]]
    found = study({4: {"base": Measured(times)}, 8: {"base": Measured(), "fast": Measured()}})
    figures, _ = drawn(found, distributions)
    assert list(figures) == ["n=4", "n=8"]
    assert len(labels(figures["n=8"])) == 3
    dots, medians = row(figures["n=4"], "base, by launch")
    assert dots["x"].tolist() == [1e-3, 3e-3, 2e-3, 5e-3, 4e-3]
    assert np.round(dots["y"]).tolist() == [0, 0, 0, 1, 1]
    assert (medians["x"], medians["y"]) == (pytest.approx([2e-3, 4.5e-3]), [0, 1])
    assert medians["hovertext"][1] == "launch 1: median 4.50 ms"


def test_the_line_at_the_top_is_the_share_of_samples_up_to_a_time(study) -> None:
    figure = drawn(study({4: {"base": Measured([[4e-3, 1e-3], [3e-3, 2e-3]])}}), distributions)[0]["work"]
    (line,) = row(figure, "share of samples that took at most so long")
    assert line["x"].tolist() == [1e-3, 2e-3, 3e-3, 4e-3]
    assert line["y"].tolist() == [0.25, 0.5, 0.75, 1.0]
    assert line["line"]["shape"] == "hv"


def test_a_long_line_keeps_its_ends_and_its_median(study) -> None:
    times = np.arange(1, 1002) * 1e-6
    figure = drawn(study({4: {"base": Measured([times.tolist()])}}), distributions)[0]["work"]
    (line,) = row(figure, "share of samples that took at most so long")
    assert len(line["x"]) == 100
    assert (line["x"][0], line["x"][-1], line["y"][-1]) == (1e-6, 1001e-6, 1.0)
    for time, share in zip(line["x"], line["y"], strict=True):
        assert np.mean(times <= time) == pytest.approx(share, abs=1.5e-3)


def test_axes_can_be_made_one_and_begin_at_zero(study) -> None:
    cases = {"base": Measured(), "slow": Measured([[5e-2] * 2] * 2)}
    figure = drawn(study({4: cases}), distributions)[0]["work"]
    assert figure.layout["xaxis"]["type"] == "log"
    assert figure.layout["xaxis"]["labelalias"] == {"2m": "2ms", "5m": "5ms", "20m": "20ms", "50m": "50ms"}
    assert set(figure.toggles) == {"one axis for all", "axis from zero"}
    assert figure.toggles["one axis for all"] == {
        "xaxis2": {"matches": "x", "type": "log"},
        "xaxis3": {"matches": "x", "type": "log"},
    }
    assert figure.toggles["axis from zero"]["xaxis3"]["rangemode"] == "tozero"
    alike = drawn(study({4: {"base": Measured(), "same": Measured()}}), distributions)[0]["work"]
    assert "type" not in alike.layout["xaxis"]


def test_of_many_samples_the_extremes_are_drawn() -> None:
    values = np.random.default_rng(1).normal(1, 0.1, 5000)
    values[1234], values[4000] = 9.0, 0.01
    kept = thin_values(values)
    assert len(kept) <= 600
    assert {1234, 4000} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    assert thin_values(values[:600]).tolist() == list(range(600))


def test_panels_of_samples_share_their_arrays(study) -> None:
    found = study({4: {"base": Measured([[1e-3, 2e-3], [3e-3]])}})
    dots, _ = row(drawn(found, distributions)[0]["work"], "base, by launch")
    (samples,) = row(drawn(found, timeline)[0]["work"], "base")
    assert dots["x"].tolist() == samples["y"].tolist()


def test_samples_are_in_order_and_launches_are_parted(study) -> None:
    cases = {"base": Measured([[1e-3] * 3, [2e-3] * 4]), "fast": Measured([[1e-4] * 2, [2e-4] * 5])}
    figure = drawn(study({4: cases}), timeline)[0]["work"]
    assert labels(figure) == ["base", "fast"]
    (base,), (fast,) = row(figure, "base"), row(figure, "fast")
    assert base["x"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert fast["x"].tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert base["y"].tolist() == [1e-3] * 3 + [2e-3] * 4
    assert [(shape["x0"], shape["x1"]) for shape in figure.layout["shapes"]] == [(2.5, 2.5)]
    assert figure.layout["xaxis"]["ticktext"] == ["0", "1"]
    assert figure.layout["xaxis"]["tickvals"] == [1.0, 5.0]
    assert figure.toggles["axis from zero"] == {"yaxis": {"rangemode": "tozero"}, "yaxis2": {"rangemode": "tozero"}}


def test_samples_of_one_turn_stand_side_by_side_in_their_round(study) -> None:
    turn = [Sample("time", 1e-3, 0, index) for index in range(4)]
    figure = drawn(study({4: {"base": Measured([[]], extra=turn)}}), timeline)[0]["work"]
    (base,) = row(figure, "base")
    assert base["x"].tolist() == pytest.approx([-0.3, -0.1, 0.1, 0.3])


def test_a_sample_with_a_warning_is_marked_and_the_legend_names_it(study) -> None:
    flagged = Measured([[1e-3] * 2, [3e-3] * 2], flags={1: "not_steady"})
    figure = drawn(study({4: {"base": flagged, "fast": flagged}}), timeline)[0]["work"]
    halo, samples = row(figure, "base")
    assert (halo["name"], halo["x"].tolist(), halo["y"].tolist()) == ("not steady", [2, 3], [3e-3, 3e-3])
    assert len(samples["x"]) == 4
    assert [trace["showlegend"] for trace in traces(figure, name="not steady")] == [True, False]


def states(**values: Sequence[float]) -> list[Sample]:
    return [Sample(metric, value, turn) for metric, each in values.items() for turn, value in enumerate(each)]


def test_the_state_of_the_machine_stands_below_on_the_same_axis(study) -> None:
    its = states(
        sm_clock=[1.98e9, 1.7e9],
        temperature=[50, 60],
        power=[600, 700],
        others_share=[0.0, 0.25],
        steal_share=[0.0, 0.0],
        preemptions=[0, 3],
        swapped_pages=[0, 0],
    )
    cases = {"base": Measured(extra=its), "fast": Measured(extra=states(sm_clock=[1.9e9, 1.9e9]))}
    figure = drawn(study({4: cases}, **ON_H100), timeline)[0]["work"]
    assert labels(figure)[2:] == ["GPU clock", "GPU power", "GPU temperature", "CPU used by others", "preemptions"]
    base, fast = row(figure, "GPU clock")
    assert (base["y"].tolist(), fast["y"].tolist()) == ([1.98e9, 1.7e9], [1.9e9, 1.9e9])
    assert base["x"].tolist() == row(figure, "base")[0]["x"].tolist()[:2]
    assert [base["meta"], fast["meta"]] == [{"case": 0}, {"case": 1}]
    assert row(figure, "CPU used by others")[0]["y"].tolist() == [0.0, 0.25]
    assert "xaxis" not in base


def test_reasons_for_lower_clocks_are_named_where_they_held(study) -> None:
    its = states(throttle_reasons=[0x1, 0x4 | 0x20, 0x20, 0x0])
    figure = drawn(study({4: {"base": Measured([[1e-3] * 4], extra=its)}}, **ON_H100), timeline)[0]["work"]
    power, heat = row(figure, "clocks held down")
    assert (power["name"], power["x"].tolist(), power["y"].tolist()) == ("power limit", [1], [0])
    assert (heat["name"], heat["x"].tolist(), heat["y"].tolist()) == ("heat, by software", [1, 2], [1, 1])
    assert figure.layout["yaxis2"]["ticktext"] == ["power limit", "heat, by software"]
    calm = states(throttle_reasons=[0x1, 0x0])
    figure = drawn(study({4: {"base": Measured(extra=calm)}}, **ON_H100), timeline)[0]["work"]
    assert labels(figure) == ["base"]


def test_each_machine_has_rows_and_states_of_its_own(study) -> None:
    one = {4: {"base": Measured(extra=states(power=[300, 310]))}}
    found = study(one, one, machines=[ON_H100, {"cpu_model": "Frugal 9000"}])
    figure = drawn(found, timeline)[0]["work"]
    names = ["NVIDIA H100 80GB HBM3", "Frugal 9000"]
    assert labels(figure) == [*(f"base on {name}" for name in names), *(f"GPU power, {name}" for name in names)]


@pytest.mark.parametrize("panel", MINE, ids=lambda panel: panel.__name__.rpartition(".")[2])
def test_a_panel_without_data_is_absent(study, panel) -> None:
    assert drawn(study({4: {"base": Measured([], cost=Cost())}}), panel) == ({}, [])


@pytest.mark.parametrize("panel", MINE, ids=lambda panel: panel.__name__.rpartition(".")[2])
def test_numbers_that_are_none_are_nowhere(study, panel) -> None:
    broken = [math.nan, math.inf]
    extra = [Sample(metric, value) for value in broken for metric in ("peak_memory", "max_abs_error", "energy_gross")]
    extra += states(power=broken, sm_clock=broken, others_share=broken)
    found = study({4: {"base": Measured([broken, [1e-3, math.nan]], extra=extra), "fast": Measured()}}, ceilings=ROOFS)
    drawn(found, panel)
    assert "<h2" in render_page(found)


@pytest.mark.parametrize("panel", MINE, ids=lambda panel: panel.__name__.rpartition(".")[2])
def test_names_end_as_text(study, panel) -> None:
    name = '<b onclick="x">'
    extra = [Sample("peak_memory", 1e6), Sample("loss_curve", 3.0), *errors(0.0, 0.0), *joules(0.5, "measured: <i>")]
    cases = {name: Measured(extra=extra, flags={0: "<u>"}), "fast": Measured(extra=extra)}
    figures, _ = drawn(study({4: cases, 8: cases}, ceilings=ROOFS, cpu_model="<s>"), panel)
    texts = [text for figure in figures.values() for text in _texts([figure.data, figure.layout])]
    assert texts
    assert not [text for text in texts if any(tag in text for tag in ("<b ", "<i>", "<u>", "<s>"))]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "legendgroup":
                yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def test_losses_fall_along_lines_in_the_band_of_the_baseline_and_what_trains_nothing_has_none(study) -> None:
    curves = {"loss_curve": [3.0, 2.0], "loss_curve_low": [2.5, 1.5], "loss_curve_high": [3.5, 2.5]}
    samples = [Sample(name, value, index=step) for name, curve in curves.items() for step, value in enumerate(curve)]
    cases = {"base": Measured(extra=samples), "fast": Measured(extra=samples), "idle": Measured()}
    (figure,) = drawn(study({4: cases}), training)[0].values()
    band, line, other = figure.data
    assert (line["x"], line["y"]) == ([1, 2], [3.0, 2.0])
    assert (band["x"], band["y"]) == ([1, 2, 2, 1], [2.5, 1.5, 2.5, 3.5])
    assert band["fillcolor"] == line["line"]["color"]
    assert [trace["name"] for trace in figure.data] == ["base", "base", "fast"]
    assert other["y"] == line["y"]
    assert drawn(study({4: {"idle": Measured()}}), training) == ({}, [])


def test_what_training_keeps_stands_part_by_part(study) -> None:
    kept = [Sample("weight_memory", 2.0 * (1 << 20)), Sample("activation_memory", 3.0 * (1 << 20))]
    figure = drawn(study({4: {"base": Measured(extra=kept), "idle": Measured()}}), memory)[0]["memory-parts"]
    assert {trace["name"]: trace["x"] for trace in figure.data} == {
        "weight memory": [2.0],
        "activation memory": [3.0],
    }
    assert all(trace["y"] == figure.layout["yaxis"]["categoryarray"] for trace in figure.data)
    assert figure.layout["barmode"] == "stack"
