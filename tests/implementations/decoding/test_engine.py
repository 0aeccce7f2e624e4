"""The engine: its logits are those of transformers, a tree's are those of its paths, and what is taken back is gone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from implementations.decoding._engine import Engine
from implementations.decoding._model import Llama
from implementations.decoding._source import SIZES, Checkpoint, checkpoint, draw_weights
from implementations.decoding._tokenizer import Bytes
from implementations.decoding._transformers import load_transformers
from implementations.decoding._tree import Tree
from tests.implementations.decoding import small

STRETCHED = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
# Two branches that fork twice, and nodes that are not in the order of their depth.
TREE = Tree([7, 3, 9, 3, 50, 61, 8, 3], [-1, 0, 0, 1, 1, 2, 3, 5])


def logits_after(llama, text):
    """Return the logits after a text that is passed through at once."""
    return Engine(llama, 1, 256).prefill([text]).logits[0, 0]


def path_to(tree, node):
    return [*path_to(tree, tree.parents[node]), node] if node >= 0 else []


@pytest.mark.parametrize(
    "config",
    [
        SIZES["tiny"],
        SIZES["small"],
        replace(small.CONFIG, tied=True, kv_heads=4, theta=500.0),
        replace(small.CONFIG, kv_heads=1, head_dim=32, scaling=STRETCHED),
    ],
    ids=["tiny", "small", "tied", "stretched"],
)
def test_logits_and_hidden_states_are_those_of_transformers(config):
    known = Checkpoint(config, Bytes(), None)
    oracle = load_transformers(known, torch.float32)
    llama, wanted = small.model(config), (0, 1, config.layers)
    text = torch.randint(config.vocabulary, (90,), generator=torch.manual_seed(0)).tolist()
    with torch.inference_mode():
        truth = oracle(torch.tensor([text]), output_hidden_states=True)
    engine = Engine(llama, 1, 128)
    first = engine.prefill([text[:60]], wanted)
    rest = engine.verify([Tree.chain(text[60], text[61:])], wanted)
    torch.testing.assert_close(first.logits[0, 0], truth.logits[0, 59], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(rest.logits[0], truth.logits[0, 60:], rtol=1e-4, atol=1e-4)
    for index, before, after in zip(wanted, first.hidden, rest.hidden, strict=True):
        ours = torch.cat((before, after), 1)
        torch.testing.assert_close(ours, truth.hidden_states[index], rtol=1e-4, atol=1e-4)


def test_bfloat16_on_packed_weights_is_bfloat16_of_plain_ones():
    exact, rounded = small.model(), small.model(dtype=torch.bfloat16)
    ours, truth = logits_after(rounded, small.PROMPTS[1]), logits_after(exact, small.PROMPTS[1])
    assert ours.dtype == torch.bfloat16
    assert (ours.float() - truth).abs().max() < 0.05 * truth.abs().max()


@pytest.mark.parametrize("prompts", [small.PROMPTS[:1], small.PROMPTS], ids=["alone", "batch"])
def test_the_logits_of_a_tree_are_those_of_each_of_its_paths(prompts):
    llama = small.model()
    engine = Engine(llama, len(prompts), 64)
    engine.prefill(prompts)
    trees = [TREE, Tree.chain(1, [2]), Tree.chain(4)][: len(prompts)]
    passed = engine.verify(trees)
    for row, (prompt, tree) in enumerate(zip(prompts, trees, strict=True)):
        for node in range(len(tree.tokens)):
            text = [*prompt, *(tree.tokens[index] for index in path_to(tree, node))]
            torch.testing.assert_close(passed.logits[row, node], logits_after(llama, text), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new"),
    [("seen[node] |= seen[parent]", "seen[node] = False"), ("seen[node] |= seen[parent]", "seen[node, :node] = True")],
    ids=["ancestors unseen", "others seen"],
)
def test_a_tree_whose_mask_is_wrong_has_other_logits(old, new):
    faulty = small.planted("_tree", old, new).Tree(TREE.tokens, TREE.parents)
    engine = Engine(small.model(), 1, 64)
    passed = []
    for tree in (TREE, faulty):
        engine.prefill(small.PROMPTS[:1])
        passed.append(engine.verify([tree]).logits[0].nan_to_num())
    assert (passed[0] - passed[1]).abs().max() > 0.1


@pytest.mark.parametrize("path", [[], [0], [0, 2, 5, 7], [0, 1, 3, 6]], ids=str)
def test_a_cache_from_which_nodes_were_taken_back_is_as_if_they_had_never_been(path):
    llama = small.model()
    engine = Engine(llama, 2, 64)
    engine.prefill(small.PROMPTS[:2])
    engine.verify([TREE, Tree.chain(1, [2, 3])])
    engine.keep([path, [0, 1]])
    texts = [[*small.PROMPTS[0], *(TREE.tokens[node] for node in path)], [*small.PROMPTS[1], 1, 2]]
    assert engine.cache.lengths == [len(text) for text in texts]
    following = engine.verify([Tree.chain(30), Tree.chain(31)]).logits[:, 0]
    for row, text in enumerate(texts):
        torch.testing.assert_close(following[row], logits_after(llama, [*text, 30 + row]), rtol=1e-4, atol=1e-4)


def test_layers_that_are_left_out_are_those_of_a_model_without_them():
    config, weights = small.CONFIG, draw_weights(small.CONFIG)
    ours = small.model().skipping([0, 2, 3])
    theirs = Llama(config, weights, torch.float32, layers=[0, 2, 3])
    assert torch.equal(logits_after(ours, [1, 2, 3]), logits_after(theirs, [1, 2, 3]))
    assert not torch.allclose(logits_after(ours, [1, 2, 3]), logits_after(small.model(), [1, 2, 3]))


def test_a_cache_that_is_full_says_so():
    engine = Engine(small.model(), 1, 6)
    engine.prefill([[1, 2, 3, 4]])
    with pytest.raises(ValueError, match="a cache of 6 slots has no place for 7"):
        engine.verify([Tree.chain(5, [6, 7])])


def test_drawn_weights_are_the_same_each_time():
    first, second = (checkpoint("random:tiny").weights() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
