"""Training in every precision that any processor has: right, still learning, and faults that must show."""

from __future__ import annotations

import importlib
import types
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
import torch

from harness.probes.host_memory import measure_peak_allocated
from implementations._training import inputs as beginnings
from implementations._training.shapes import Shape
from implementations.precision import workload as precision
from implementations.precision._gradients import left_by
from implementations.precision._method import PASSES

FAST = ("fp32_highest", "bf16_amp", "bf16_master", "bf16_pure")
FP16 = ("fp16_amp", "fp16_amp_manual")
DEFAULTS = {axis.name: axis.parse(axis.default) for axis in precision.workload.axes} | {"batch": 2, "seq": 16}


def draw(seed=0, **changes):
    changes = {"pass" if name == "passes" else name: value for name, value in changes.items()}
    return precision.workload.make_inputs(DEFAULTS | changes, "cpu", torch.Generator().manual_seed(seed))


def source(name):
    return Path(importlib.import_module(f"implementations.precision.{name}").__file__).read_text()


def build(name, *faults):
    """Return an implementation, or what it is with faults in its source: pairs of a text and what is put for it."""
    text = source(name)
    for old, new in faults:
        assert text.count(old) == 1
        text = text.replace(old, new)
    module = types.ModuleType(f"{name}_with_{len(faults)}_faults")
    exec(compile(text, module.__name__, "exec"), module.__dict__)
    return getattr(module, name)


@pytest.fixture(scope="module")
def truths():
    """Return a function that gives the reference of a question, each worked out once."""
    known = {}

    def truth(**changes):
        key = tuple(sorted(changes.items()))
        if key not in known:
            known[key] = precision.workload.reference(draw(**changes))
        return known[key]

    return truth


def judged(make, truths, **changes):
    """Return what the check, and if that finds nothing the examination, say of an implementation."""
    taken, truth = make(draw(**changes))(), truths(**changes)
    found = precision.workload.check(taken, truth)
    return found if found.fault else precision.workload.examine(taken, truth)


@pytest.fixture(scope="module")
def sound(truths):
    """Return a function that says what is found of an implementation as it is, each judged once."""
    return cache(lambda name: judged(build(name), truths))


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("model", ["gpt", "resnet", "mlp"])
@pytest.mark.parametrize("name", FAST)
def test_a_step_is_right(truths, name, model, passes):
    changes = {"model": model, "passes": passes}
    assert precision.workload.check(build(name)(draw(**changes))(), truths(**changes)).fault == ""


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("name", FP16)
def test_a_step_in_float16_is_right(truths, name, passes):
    assert precision.workload.check(build(name)(draw(passes=passes))(), truths(passes=passes)).fault == ""


@pytest.mark.parametrize("name", [*FAST, *FP16])
def test_what_passes_the_check_still_learns(sound, name):
    found = sound(name)
    assert found.fault == ""
    assert found.errors["loss_low"] < found.errors["loss"] < found.errors["loss_high"]
    curve = found.errors["loss_curve"]
    assert len(curve) == beginnings.BATCHES
    assert sum(curve[-8:]) / 8 == pytest.approx(found.errors["loss"], rel=1e-6)
    assert curve[-1] < curve[0]


def test_float16_without_a_scale_is_rejected(truths):
    assert "loss nan" in judged(build("fp16_pure"), truths).fault


ROUNDED = "x.make_model(x.parameters, torch.bfloat16)"


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        pytest.param("fp32_highest", "x.make_model(x.parameters)", ROUNDED, "exceeds", id="rounds its weights"),
        pytest.param("fp16_amp", "scaler.unscale_(optimizer)", "...", "gradient_error", id="clips before it unscales"),
        pytest.param("fp16_amp_manual", ", 1 / scale)", ")", "gradient_error", id="never divides by the scale"),
        pytest.param("fp16_amp_manual", "clip(masters)", "...", "gradient_error", id="does not clip"),
        pytest.param("bf16_amp", "clip(list(model.parameters()))", "...", "gradient_error", id="does not clip either"),
        pytest.param("fp16_amp_manual", "                return\n", "", "has changed", id="updates after an overflow"),
        pytest.param("fp16_amp_manual", "scale * BACKOFF, 0", "scale, 0", "the scale is", id="scale stays"),
        pytest.param("fp16_amp", "scaler.step(optimizer)", "optimizer.step()", "has changed", id="scaler left out"),
        pytest.param("bf16_master", "follow(model, masters)", "...", "from float32's", id="model does not follow"),
        pytest.param("bf16_pure", "optimizer.step()", "...", "from float32's", id="no update"),
    ],
)
def test_a_fault_is_rejected(truths, name, old, new, said):
    assert said in judged(build(name, (old, new)), truths).fault


def test_a_step_that_begins_again_gives_what_a_new_one_does():
    x, other = draw(), draw(seed=5)
    step = build("bf16_amp")(x)
    for _ in range(3):
        step()
    with torch.no_grad():
        for name, tensor in x.parameters.items():
            tensor.copy_(other.parameters[name])
        x.batches.copy_(other.batches)
        x.labels.copy_(other.labels)
    assert step().loss == build("bf16_amp")(other)().loss


def test_a_step_goes_on_from_the_last_with_the_next_batch():
    x = draw()
    step = build("fp32_highest")(x)
    losses = [step().loss.item() for _ in range(3)]
    network = x.make_model(x.parameters)
    assert losses[0] == pytest.approx(network(x.batches[0], x.labels[0]).item(), rel=1e-6)
    assert losses[1] != pytest.approx(network(x.batches[1], x.labels[1]).item(), rel=1e-6)
    assert len(set(losses)) == 3


@dataclass(frozen=True)
class OneWeight(beginnings.TrainingInputs):
    """Inputs whose model is a single weight, which is its own loss: its gradient is 1."""

    def make_model(self, parameters, dtype=torch.float32):
        model = torch.nn.Module()
        model.weight = torch.nn.Parameter(torch.ones((), dtype=dtype))
        model.forward = lambda batch, labels: model.weight * 1.0
        return model


@pytest.mark.parametrize(("name", "left"), [("fp32_highest", 0.9), ("bf16_master", 0.9), ("bf16_pure", 1.0)])
def test_small_updates_add_up_in_a_master_and_vanish_without_one(monkeypatch, name, left):
    monkeypatch.setitem(beginnings.LEARNING_RATES, "sgd", 1e-5)  # with its momentum 1e-4 a step
    plain = draw(optimizer="sgd")
    x = OneWeight({"weight": torch.ones(())}, plain.batches, plain.labels, plain.shape, "step", "sgd", False)
    step = build(name)(x)
    for _ in range(1000):
        taken = step()
    assert taken.method.trained()[0].item() == pytest.approx(left, abs=2e-3)


def test_small_gradients_survive_under_a_scale_alone(truths):
    smaller = "Method(model, optimizer, model,", "Method(model, optimizer, lambda *batch: model(*batch) * 1e-6,"

    def vanished(name):
        return precision.workload.examine(build(name, smaller)(draw())(), truths()).errors["vanished_gradients"]

    assert vanished("fp16_amp_manual") < 0.05
    assert vanished("fp16_pure") > 0.5


def test_memory_is_that_of_the_tensors(sound):
    x = draw()
    count, activations = sum(tensor.numel() for tensor in x.parameters.values()), []

    def kept(name):
        found = sound(name).errors
        activations.append(found["activation_memory"])
        return [found[f"{what}_memory"] / count for what in ("weight", "gradient", "optimizer")]

    assert kept("fp32_highest") == pytest.approx([4, 4, 8], rel=0.01)
    assert kept("fp16_amp") == pytest.approx([4, 4, 8], rel=0.01)
    assert kept("bf16_pure") == pytest.approx([2, 2, 4], rel=0.01)
    assert kept("bf16_master") == pytest.approx([6, 6, 8], rel=0.01)  # masters, and gradients for them
    assert activations[2] == activations[3] < 0.7 * activations[0]
    in_float32, in_half = (sound(name).errors["activation_memory"] for name in ("fp32_highest", "bf16_pure"))
    assert in_half < 0.7 * in_float32


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("model", ["gpt", "resnet", "mlp"])
@pytest.mark.parametrize("name", FAST)
def test_predicted_memory_is_not_far_from_what_the_allocator_hands_out(name, model, passes):
    params = DEFAULTS | {"model": model, "pass": passes, "batch": 8, "seq": 128}
    x = draw(model=model, passes=passes, batch=8, seq=128)
    allocated = measure_peak_allocated(lambda: build(name)(x)())["peak_allocated"]
    predicted = build(name).__benchwright__.requires.memory(params)
    assert 0.9 * allocated - (2 << 20) <= predicted <= 2 * allocated


def test_gradients_without_an_update_are_those_of_the_model_without_the_scale():
    x = draw(passes="forward_backward")
    taken = build("fp16_amp_manual")(x)()
    assert taken.method.factor() == 2.0**16
    ours = left_by(taken.method, x, "forward_backward")
    network = x.make_model(x.parameters)
    theirs = torch.autograd.grad(network(x.batches[0], x.labels[0]), list(network.parameters()))
    assert all(torch.allclose(a, b.double(), rtol=0.1, atol=1e-3) for a, b in zip(ours, theirs, strict=True))


def test_the_scale_grows_after_so_many_good_steps():
    grown = build(
        "fp16_amp_manual", ("GROWTH_INTERVAL = 2.0**16, 2.0, 0.5, 2000", "GROWTH_INTERVAL = 2.0**8, 2.0, 0.5, 3")
    )
    step = grown(draw())
    scales = [step().method.factor() for _ in range(6)]
    assert scales == [2.0**8, 2.0**8, 2.0**9, 2.0**9, 2.0**9, 2.0**10]


# What torch.compile itself uses.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_compiled_models_train_as_others_do(monkeypatch):
    shape = replace(Shape.of("gpt", "tiny"), depth=1)  # what is compiled for a second block is the same again
    monkeypatch.setattr(Shape, "of", lambda model, size: shape)
    x = draw()
    taken = build("bf16_master")(replace(x, compiled=True))()
    assert precision.workload.check(taken, precision.workload.reference(x)).fault == ""


def test_cost_of_a_step_is_three_forward_passes():
    forward, both, step = (precision.cost(DEFAULTS | {"pass": passes}) for passes in PASSES)
    assert both.flops == step.flops == 3 * forward.flops
    assert forward.items == 2


def test_what_a_processor_does_not_have_has_a_reason():
    unsupported = build("tf32").__benchwright__.requires.unsupported
    assert "CUDA's tensor cores" in unsupported(DEFAULTS, "cpu")
    assert unsupported(DEFAULTS, "cuda") == ""
    slow = build("fp16_amp").__benchwright__.requires.unsupported
    assert "minutes a step" in slow(DEFAULTS | {"size": "small"}, "cpu")
    assert slow(DEFAULTS, "cpu") == slow(DEFAULTS | {"size": "small"}, "cuda") == ""
    assert "resnet" in build("fp8").__benchwright__.requires.unsupported(DEFAULTS | {"model": "resnet"}, "cuda")
