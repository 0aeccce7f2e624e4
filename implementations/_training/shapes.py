"""The models that training is measured on, as numbers: their sizes, their parameters, and the work of a step."""

from __future__ import annotations

from dataclasses import dataclass

MODELS = ("gpt", "resnet", "mlp")
SIZES = ("tiny", "small", "base", "large")
# Values of a byte, kinds of images and of vectors, and the pixels of an image's side.
BYTES, CLASSES, PIXELS = 256, 10, 32


@dataclass(frozen=True)
class Shape:
    """One model.

    Attributes:
        depth: blocks; of a resnet, blocks of each of its three stages.
        width: features; of a resnet, channels of its first stage.
        heads: attention heads of a gpt.
    """

    model: str
    depth: int
    width: int
    heads: int = 0

    @staticmethod
    def of(model: str, size: str) -> Shape:
        """Return the shape of a model of one size.

        A gpt of size base or large is GPT-2 small or medium over bytes (Radford et al. 2019), a resnet of size small
        or base is ResNet-20 or ResNet-56 (He et al. 2016, section 4.2), and an mlp has four small parameters a block,
        400 of them from size small on.
        """
        gpts = {"tiny": (2, 128, 4), "small": (6, 384, 6), "base": (12, 768, 12), "large": (24, 1024, 16)}
        resnets = {"tiny": (1, 16), "small": (3, 16), "base": (9, 16), "large": (9, 64)}
        mlps = {"tiny": (25, 64), "small": (100, 64), "base": (100, 256), "large": (100, 1024)}
        known: dict[str, dict[str, tuple[int, ...]]] = {"gpt": {**gpts}, "resnet": {**resnets}, "mlp": {**mlps}}
        return Shape(model, *known[model][size])

    def forward_flops(self, batch: int, seq: int) -> int:
        """Count the operations of the products of a forward pass, of attention's those of pairs that are seen."""
        if self.model == "gpt":
            of_token = 2 * self.width * (self.depth * 12 * self.width + BYTES)
            of_pair = 4 * self.width * self.depth
            return batch * (seq * of_token + seq * (seq + 1) // 2 * of_pair)
        if self.model == "mlp":
            return 2 * batch * self.width * (self.depth * 2 * self.width + CLASSES)
        return 2 * batch * (self._convolutions() + 4 * self.width * CLASSES)

    def parameters(self, seq: int) -> int:
        """Count the parameters."""
        width = self.width
        if self.model == "gpt":
            return width * (2 * BYTES + seq + 2) + self.depth * (12 * width**2 + 13 * width)
        if self.model == "mlp":
            return self.depth * 2 * (width**2 + width) + (width + 1) * CLASSES
        count, channels = 27 * width, width
        for wide in (width, 2 * width, 4 * width):
            count += 9 * wide * (channels + (2 * self.depth - 1) * wide) + 4 * self.depth * wide
            count += channels * wide if wide != channels else 0
            channels = wide
        return count + (channels + 1) * CLASSES

    def activations(self, batch: int, seq: int) -> int:
        """Count the elements that a forward pass keeps for the backward pass.

        Of a layer its input, of attention Q, K, V and O too, of GELU and a norm what goes in, of ReLU what comes out.
        """
        if self.model == "gpt":
            return batch * seq * (self.depth * 17 * self.width + 2 * self.width + 2 * BYTES)
        if self.model == "mlp":
            return batch * (self.depth * 3 + 1) * self.width
        stages = [(self.width << stage) * (PIXELS >> stage) ** 2 for stage in range(3)]
        return batch * (3 * PIXELS**2 + sum(4 * self.depth * size for size in stages) + 2 * stages[0])

    def batch_bytes(self, batch: int, seq: int) -> int:
        """Return the size of a batch with its labels: vectors of float32, bytes and labels as int64."""
        if self.model == "gpt":
            return 2 * 8 * batch * seq
        return batch * (4 * (self.width if self.model == "mlp" else 3 * PIXELS**2) + 8)

    def _convolutions(self) -> int:
        """Count the multiplications of a resnet's convolutions for one image."""
        count, channels = 9 * 3 * self.width * PIXELS**2, self.width
        for stage in range(3):
            width, pixels = self.width << stage, (PIXELS >> stage) ** 2
            count += pixels * width * (9 * channels + 9 * width * (2 * self.depth - 1))
            count += pixels * width * channels if width != channels else 0
            channels = width
        return count
