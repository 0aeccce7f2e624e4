"""The models that are trained, against what is said of their sizes; and what they are trained on."""

from __future__ import annotations

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from implementations._training.data import draw_batches, standard_library
from implementations._training.inputs import AXES, BATCHES, make_inputs, settle
from implementations._training.models import draw_parameters, make_model
from implementations._training.shapes import CLASSES, MODELS, SIZES, Shape

DEFAULTS = {name: axis.parse(axis.default) for name, axis in AXES.items()} | {"pass": "step"}


def drawn(seed=0, **changes):
    return make_inputs(DEFAULTS | changes, "cpu", torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_a_shape_knows_its_parameters(model, size):
    shape = Shape.of(model, size)
    assert sum(one.numel() for one in make_model(shape, seq=96).parameters()) == shape.parameters(seq=96)


def test_sizes_are_those_of_the_models_that_they_are_named_after():
    assert len(list(make_model(Shape.of("mlp", "small"), 1).parameters())) == 402
    assert Shape.of("resnet", "small").parameters(0) == pytest.approx(0.27e6, rel=0.03)  # He et al. 2016, table 6
    assert Shape.of("resnet", "base").parameters(0) == pytest.approx(0.85e6, rel=0.03)
    vocabulary = (50257 - 256) * 1024
    tied = 256 * 1024  # GPT-2 reads and writes with one matrix
    assert Shape.of("gpt", "large").parameters(1024) + vocabulary - tied == pytest.approx(355e6, rel=0.01)


@pytest.mark.parametrize("size", ["tiny", "small"])
@pytest.mark.parametrize("model", ["resnet", "mlp"])
def test_flops_are_those_of_the_products(model, size):
    x = drawn(model=model, size=size, batch=3)
    network = x.make_model(x.parameters)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x.batches[0], x.labels[0])
    assert x.shape.forward_flops(3, 128) == counter.get_total_flops()


def test_flops_of_a_gpt_are_those_of_its_layers_and_of_attention_to_what_is_seen():
    x = drawn(batch=3, seq=32)
    network = x.make_model(x.parameters)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x.batches[0], x.labels[0])
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    layers = counter.get_total_flops() - counter.get_flop_counts()["Global"].get(flash, 0)
    pairs, width, depth = 32 * 33 // 2, 128, 2
    assert x.shape.forward_flops(3, 32) == layers + 3 * depth * pairs * 2 * (2 * width)


@pytest.mark.parametrize("model", MODELS)
def test_a_model_begins_without_a_notion_and_learns(model):
    x = drawn(model=model, batch=8, seq=16)
    network = x.make_model(x.parameters)
    choices = 256 if model == "gpt" else CLASSES
    losses, optimizer = [], x.make_optimizer(network.parameters())
    for batch, labels in list(zip(x.batches, x.labels, strict=True)) * 2:
        optimizer.zero_grad()
        loss = network(batch, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(math.log(choices), rel=0.35)
    assert sum(losses[-8:]) < 0.9 * sum(losses[:8])


def test_the_model_is_a_copy_of_the_parameters():
    x = drawn()
    network = x.make_model(x.parameters, torch.bfloat16)
    before = {name: tensor.clone() for name, tensor in x.parameters.items()}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            assert torch.equal(parameter, before[name].bfloat16())
            parameter.zero_()
    assert all(torch.equal(x.parameters[name], tensor) for name, tensor in before.items())


def test_text_is_python_and_what_follows_a_byte_is_its_label():
    text = bytes(standard_library().numpy())
    assert len(text) == 4 << 20
    assert text.count(b"\n    def ") > 1000
    batches, labels = draw_batches(Shape.of("gpt", "tiny"), 2, 3, 40, torch.Generator().manual_seed(0))
    assert batches.shape == labels.shape == (2, 3, 40)
    assert torch.equal(batches[..., 1:], labels[..., :-1])
    assert bytes(batches[1, 2].tolist()) in text


def test_images_of_a_kind_resemble_each_other():
    images, labels = draw_batches(Shape.of("resnet", "tiny"), 1, 200, 0, torch.Generator().manual_seed(0))
    images, labels = images[0].flatten(1), labels[0]
    alike = labels.unsqueeze(0) == labels.unsqueeze(1)
    alike.fill_diagonal_(False)
    near = torch.corrcoef(images)
    different = labels.unsqueeze(0) != labels.unsqueeze(1)
    assert near[alike].mean() > 0.2 + near[different].mean().abs()


@pytest.mark.parametrize("model", MODELS)
def test_a_seed_fixes_the_beginning_and_another_one_is_redrawn(model):
    first, again, other = drawn(model=model), drawn(model=model), drawn(seed=1, model=model)
    redrawn = first.redrawn(1)
    for name, tensor in first.parameters.items():
        assert torch.equal(tensor, again.parameters[name])
        assert torch.equal(other.parameters[name], redrawn.parameters[name])
    assert torch.equal(first.batches, again.batches)
    assert torch.equal(other.batches, redrawn.batches)
    assert not torch.equal(first.batches, other.batches)
    assert first.batches.shape[0] == BATCHES


@pytest.mark.parametrize("model", MODELS)
def test_a_shape_knows_the_size_of_a_batch(model):
    x = drawn(model=model, batch=5, seq=24)
    assert BATCHES * x.shape.batch_bytes(5, 24) == x.batches.nbytes + x.labels.nbytes


def test_only_a_gpt_has_sequences():
    assert settle(DEFAULTS | {"model": "mlp", "seq": 7}) == settle(DEFAULTS | {"model": "mlp", "seq": 9})
    assert settle(DEFAULTS | {"seq": 7})["seq"] == 7


def test_norms_begin_at_one_and_biases_at_zero():
    model = make_model(Shape.of("gpt", "tiny"), 16)
    parameters = draw_parameters(model, torch.Generator().manual_seed(0))
    assert parameters["norm.weight"].eq(1).all()
    assert parameters["norm.bias"].eq(0).all()
    assert parameters["blocks.0.widen.weight"].std().item() == pytest.approx(128**-0.5, rel=0.05)
