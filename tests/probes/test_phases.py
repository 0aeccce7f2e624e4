"""The parts of a step: on a timeline that is known, and of real steps."""

import json

import pytest
import torch

from harness.probes.phases import STEP, has_phases, measure_phases, split_phases
from harness.probes.profiler import open_profiler

ENGINE = "autograd::engine::evaluate_function: MmBackward0"


def event(name, start, end, thread=1, **arguments):
    return {"name": name, "tid": thread, "ts": float(start), "dur": float(end - start), "args": arguments}


# 1000 us: forward to 300, backward to 600 while 200 us are sent, 150 us more that nothing hides, update to 950.
TIMELINE = [
    event(STEP, 0, 1000),
    event("aten::mm", 10, 300),
    event(ENGINE, 300, 600),
    event("aten::mm", 310, 590),
    event("gloo:all_reduce", 400, 750, 2, **{"Input Dims": [[1000]], "Input type": ["float"]}),
    event("Optimizer.step#SGD.step", 750, 950),
    event("aten::_foreach_add_", 760, 940),
]


def test_a_step_divides_into_what_its_timeline_says():
    found = split_phases(TIMELINE, ranks=4)
    microseconds = {name: 1e6 * value for name, value in found.items() if name.endswith("_time")}
    assert microseconds == pytest.approx(
        {
            "forward_time": 300,
            "backward_time": 290,  # from 590 on nothing is computed but communication goes on
            "optimizer_time": 200,
            "communication_time": 350,
            "exposed_communication_time": 160,
        }
    )
    assert found["overlap_share"] == pytest.approx(190 / 350)
    assert found["bytes_sent"] == 2 * 3 / 4 * 4000


@pytest.mark.parametrize(
    ("operation", "share"), [("all_gather", 3), ("broadcast", 1), ("send", 1), ("recv", 0), ("all_reduce", 1.5)]
)
def test_bytes_are_those_that_a_ring_sends(operation, share):
    sent = event(f"gloo:{operation}", 0, 5, **{"Input Dims": [[10, 10]], "Input type": ["double"]})
    assert split_phases([event(STEP, 0, 10), sent], ranks=4)["bytes_sent"] == share * 800


def test_a_thread_between_two_operations_close_together_computes_as_well():
    sent = event("gloo:send", 100, 300, 2, **{"Input Dims": [[1]], "Input type": ["float"]})
    close = [event("aten::mm", 0, 180), event("aten::mm", 220, 400)]
    apart = [event("aten::mm", 0, 120), event("aten::mm", 280, 400)]
    assert split_phases([event(STEP, 0, 400), sent, *close], ranks=2)["overlap_share"] == 1
    assert split_phases([event(STEP, 0, 400), sent, *apart], ranks=2)["overlap_share"] == pytest.approx(0.2)


def test_of_a_real_step_the_parts_are_found():
    model = torch.nn.Linear(64, 64)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step():
        model(torch.ones(8, 64)).sum().backward()
        optimizer.step()

    found = measure_phases(step, ranks=1)
    assert set(found) == {"forward_time", "backward_time", "optimizer_time"}
    assert all(0 < value < 1 for value in found.values())


def test_a_step_that_only_computes_has_no_parts():
    assert not has_phases(["aten::mm", "aten::add"])
    assert has_phases(["aten::mm", "Optimizer.step#SGD.step"])


def test_a_profile_has_the_shapes_from_which_bytes_are_counted(tmp_path):
    with open_profiler(record_shapes=True) as profile:
        torch.ones(3, 5).add(1)
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    (added,) = [event for event in events if event["name"] == "aten::add"]
    assert (added["args"]["Input Dims"][0], added["args"]["Input type"][0]) == ([3, 5], "float")
