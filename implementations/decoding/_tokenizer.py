"""Texts to tokens: by the tokenizer of a checkpoint, or byte by byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Tokenizer(Protocol):
    """Turns what a user says into tokens that an assistant's answer follows, and tokens into text."""

    def prompt(self, text: str) -> list[int]:
        """Return the tokens of a user's text, in the form in which the model is asked."""

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens."""


class Bytes:
    """Each byte is a token."""

    def prompt(self, text: str) -> list[int]:
        """Return the bytes of a text."""
        return list(text.encode())

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of those tokens that are bytes."""
        return bytes(token for token in tokens if token < 256).decode(errors="replace")


class Pieces:
    """A tokenizer of the library `tokenizers`, and the template in which a checkpoint is asked."""

    def __init__(self, tokenizer: Any, template: str, special: dict[str, str]) -> None:
        self._tokenizer, self._template, self._special = tokenizer, template, special

    def prompt(self, text: str) -> list[int]:
        """Return the tokens of a user's text in the checkpoint's template, where it has one."""
        if not self._template:
            return list(self._tokenizer.encode(text).ids)
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        said = [{"role": "user", "content": text}]
        asked = environment.from_string(self._template).render(
            messages=said, add_generation_prompt=True, **self._special
        )
        return list(self._tokenizer.encode(asked, add_special_tokens=False).ids)

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, without those that are no text."""
        return str(self._tokenizer.decode(list(tokens)))


def read_tokenizer(folder: Path) -> Pieces:
    """Read ``tokenizer.json`` of a checkpoint, and its template, which is in a file of its own or with its settings."""
    import tokenizers

    settings, alone = folder / "tokenizer_config.json", folder / "chat_template.jinja"
    stated = json.loads(settings.read_text()) if settings.is_file() else {}
    template = alone.read_text() if alone.is_file() else stated.get("chat_template") or ""
    names = ("bos_token", "eos_token")
    special = {name: _content(stated[name]) for name in names if stated.get(name)}
    return Pieces(tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")), template, special)


def byte_level(pieces: Sequence[str], merges: Sequence[str], special: Sequence[str]) -> Any:
    """Make a byte-level BPE tokenizer (Radford et al. 2019, section 2.2) that takes digits one by one.

    Args:
        pieces: the vocabulary, in the order of its tokens.
        merges: pairs of pieces, each separated by a space, the first to be merged first.
        special: the pieces that no text is split into.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    pairs = [(left, right) for left, right in (merge.split(" ") for merge in merges)]
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, pairs))
    digits, bytewise = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken(piece, normalized=False, special=True) for piece in special])
    return tokenizer


def _content(token: str | dict[str, str]) -> str:
    return token if isinstance(token, str) else token["content"]
