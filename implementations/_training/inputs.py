"""Where training begins, and what on: the inputs of the workloads that train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch

from harness import Axis, Params
from implementations._training.data import draw_batches
from implementations._training.shapes import MODELS, SIZES, Shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

# Batches that there are: a step takes the next one each time.
BATCHES = 32
LEARNING_RATES = {"adamw": 1e-3, "sgd": 1e-1}
MOMENTS = {"adamw": 2, "sgd": 1}


@dataclass(frozen=True)
class TrainingInputs:
    """One beginning.

    Attributes:
        parameters: by name, in float32.
        batches: (BATCHES, batch, ...), float32, or bytes as int64.
        labels: (BATCHES, batch), or of a gpt (BATCHES, batch, seq).
        passes: what a step does.
    """

    parameters: Mapping[str, Tensor]
    batches: Tensor
    labels: Tensor
    shape: Shape
    passes: str
    optimizer: str
    compiled: bool

    @property
    def device(self) -> str:
        """The kind of device, ``cpu`` or ``cuda``."""
        return self.batches.device.type

    def make_model(self, parameters: Mapping[str, Tensor], dtype: torch.dtype | None = None) -> nn.Module:
        """Return the model on the inputs' device with a copy of parameters, in another dtype where one is given."""
        from implementations._training.models import make_model

        model = make_model(self.shape, self.batches.shape[-1]).to_empty(device=self.batches.device)
        model = model.to(dtype or next(iter(parameters.values())).dtype)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(parameters[name])
        return cast("nn.Module", torch.compile(model)) if self.compiled else model

    def make_optimizer(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        """Return the optimiser, in torch's implementation over lists of tensors on any device."""
        rate = LEARNING_RATES[self.optimizer]
        if self.optimizer == "sgd":
            return torch.optim.SGD(parameters, rate, momentum=0.9, foreach=True)
        return torch.optim.AdamW(parameters, rate, (0.9, 0.95), weight_decay=0.1, foreach=True)

    def redrawn(self, seed: int) -> TrainingInputs:
        """Return another beginning of the same question, with other parameters and batches."""
        batch, seq = self.batches.shape[1], self.batches.shape[-1]
        generator = torch.Generator().manual_seed(seed)
        return replace(self, **_drawn(self.shape, batch, seq, self.batches.device, generator))


def make_inputs(params: Params, device: str, generator: torch.Generator) -> TrainingInputs:
    """Draw parameters, batches and labels."""
    shape = shape_of(params)
    drawn = _drawn(shape, int(params["batch"]), int(params["seq"]), device, generator)
    return TrainingInputs(
        **drawn,
        shape=shape,
        passes=str(params["pass"]),
        optimizer=str(params["optimizer"]),
        compiled=bool(params["compile"]),
    )


def input_bytes(params: Params) -> int:
    """Return the size of the parameters in float32, and of the batches with their labels."""
    shape, batch, seq = shape_of(params), int(params["batch"]), int(params["seq"])
    return 4 * shape.parameters(seq) + BATCHES * shape.batch_bytes(batch, seq)


def _drawn(
    shape: Shape, batch: int, seq: int, device: str | torch.device, generator: torch.Generator
) -> dict[str, Any]:
    from implementations._training.models import draw_parameters, make_model

    parameters = draw_parameters(make_model(shape, seq), generator)
    batches, labels = draw_batches(shape, BATCHES, batch, seq, generator)
    return {
        "parameters": {name: tensor.to(device) for name, tensor in parameters.items()},
        "batches": batches.to(device),
        "labels": labels.to(device),
    }


def shape_of(params: Params) -> Shape:
    """Return the model that a point names."""
    return Shape.of(str(params["model"]), str(params["size"]))


def settle(params: Params) -> Params:
    """Return the one way in which a question is written: ``seq`` is of a gpt alone."""
    return params if params["model"] == "gpt" else {**params, "seq": AXES["seq"].parse(AXES["seq"].default)}


AXES = {
    axis.name: axis
    for axis in (
        Axis.choice("model", MODELS, "gpt", "a decoder over bytes, residual convolutions, or many small layers"),
        Axis.choice("size", SIZES, "tiny", "how deep and wide the model is"),
        Axis.integer("batch", 8, "sequences, images or vectors in a batch"),
        Axis.integer("seq", 128, "bytes in a sequence of a gpt"),
        Axis.choice("optimizer", tuple(LEARNING_RATES), "adamw", "what makes updates of gradients", implied=True),
        replace(Axis.boolean("compile", False, "compile the model with torch.compile"), implied=True),
    )
}
