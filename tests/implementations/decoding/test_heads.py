"""Heads guess in decoding as they did in training, learn, and are kept with what they learnt from."""

from __future__ import annotations

import itertools
from functools import cache, partial
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations.decoding import _distil, _learn, _training
from implementations.decoding._engine import Engine
from implementations.decoding._features import FeatureDrafter, Shape
from implementations.decoding._heads import chosen_tree, read_heads, write_heads
from implementations.decoding._joined import Joined
from implementations.decoding._layers import AHEAD, states_of
from implementations.decoding._learn import Training
from implementations.decoding._lookup import Lookup
from implementations.decoding._places import EAGLE, EAGLE3, MEDUSA, META, METHODS, MTP, places_of_heads
from implementations.decoding._source import checkpoint
from implementations.decoding._training import train_heads
from implementations.decoding._tree import Tree
from tests.implementations.decoding import small
from tests.support.command import bench

LLAMA = small.model()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def chain_of_training(method, text, depth):
    """Return the chain of guesses after a text, by the pass that training makes."""
    heads, wanted = small.heads(method), states_of(method, len(LLAMA.blocks))
    states, guesses = Engine(LLAMA, 1, 64).prefill([text[:-1]], wanted).hidden, []
    head = LLAMA.unembedding[heads.vocabulary]
    for ahead in range(1, depth + 1):
        full = [*text, *guesses]
        tokens = [torch.tensor([(full + [0] * ahead)[n + 1 : n + len(text)]]) for n in range(ahead)]
        with torch.no_grad():
            embedded = [F.embedding(one, LLAMA.embedding) for one in tokens]
            outputs = heads.module.outputs(embedded, states, LLAMA)
        guesses.append(int(heads.vocabulary[(outputs[-1][0, -1] @ head.T).argmax()]))
    return guesses


@pytest.mark.parametrize("method", [MTP, EAGLE, EAGLE3])
@pytest.mark.parametrize("seed", range(4))
def test_a_block_guesses_in_decoding_what_it_does_in_training(method, seed):
    text = torch.randint(0, 96, (30,), generator=torch.Generator().manual_seed(seed)).tolist()
    states = states_of(method, len(LLAMA.blocks))
    drafter, engine = FeatureDrafter(LLAMA, small.heads(method), Shape(1, 3, 3), states, 1, 64), Engine(LLAMA, 1, 64)
    drafter.begin([text[:21]], engine.prefill([text[:20]], states))
    assert drafter.propose([text[:21]], [3])[0].tokens[1:] == chain_of_training(method, text[:21], 3)
    # Then a pass of which some nodes are kept, beside the guesses that were not.
    tree = Tree([text[20], 0, text[21], text[22]], [-1, 0, 0, 2])
    passed = engine.verify([tree], states)
    engine.keep([[0, 2, 3]])
    drafter.learn([tree], [[0, 2, 3]], passed)
    assert drafter.propose([text[:24]], [3])[0].tokens[1:] == chain_of_training(method, text[:24], 3)


@pytest.mark.parametrize("seed", range(4))
def test_blocks_beside_each_other_guess_in_decoding_what_they_do_in_training(seed):
    text = torch.randint(0, 96, (30,), generator=torch.Generator().manual_seed(seed)).tolist()
    drafter, engine, last = small.learned(LLAMA, META, 1), Engine(LLAMA, 1, 64), (len(LLAMA.blocks),)
    heads = small.heads(META)

    def in_training(text):
        states, tokens = Engine(LLAMA, 1, 64).prefill([text[:-1]], last).hidden, torch.zeros(1, len(text) - 1).long()
        with torch.no_grad():
            outputs = heads.module.outputs([F.embedding(tokens, LLAMA.embedding)], states, LLAMA)
        said = [output[0, -1] @ LLAMA.unembedding[heads.vocabulary].T for output in outputs]
        return [int(heads.vocabulary[logits.argmax()]) for logits in said]

    drafter.begin([text[:21]], engine.prefill([text[:20]], last))
    assert drafter.propose([text[:21]], [AHEAD])[0].tokens[1:] == in_training(text[:21])
    tree = Tree([text[20], 0, text[21], text[22]], [-1, 0, 0, 2])
    passed = engine.verify([tree], last)
    engine.keep([[0, 2, 3]])
    drafter.learn([tree], [[0, 2, 3]], passed)
    assert drafter.propose([text[:24]], [AHEAD])[0].tokens[1:] == in_training(text[:24])


@cache
def lessons():
    """Return texts that go round in circles, which a model with drawn weights does by itself."""
    prompts = [[token] for token in range(12)]
    return [([*prompt, *new], 1) for prompt, new in zip(prompts, small.plain(LLAMA, prompts, 40), strict=True)]


@pytest.fixture
def steady(monkeypatch):
    """Clocks by which each step of a training takes a hundredth of a second, and each round of texts a fifth."""
    for module, takes in ((_learn, 0.01), (_training, 0.2)):
        clock = itertools.count(0.0, takes)
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=partial(next, clock)))


@pytest.mark.usefixtures("steady")
@pytest.mark.parametrize("method", METHODS)
def test_heads_learn_what_the_model_says_and_what_it_took_is_kept(method):
    losses, kept = [], []
    training = Training(LLAMA, method, lessons()[:10], lessons()[10:], 0)
    training.run(0.56, lambda _, what: losses.append(what), kept.append)
    first, last = (float(what.split()[-1]) for what in (losses[1], losses[-1]))
    assert last < 0.9 * first
    known = kept[-1].training
    assert known["answer_tokens"] == 400
    assert known["parameters"] == sum(one.numel() for one in kept[-1].module.parameters())
    assert len(known["curve"]) == len(kept) == 8
    assert known["curve"][-1][1:] == [pytest.approx(rate, abs=1e-3) for rate in kept[-1].rates[:, 0].tolist()]
    # A product of the output layer for each guess, forwards and backwards, is part of what is counted.
    assert known["training_flops"] / known["steps"] > 2 * 2 * 400 * small.CONFIG.width * small.CONFIG.vocabulary
    assert ((kept[-1].rates >= 0) & (kept[-1].rates <= 1)).all()


@pytest.mark.usefixtures("steady")
def test_a_training_goes_on_from_heads_that_there_are():
    kept = []
    Training(LLAMA, MEDUSA, lessons()[:10], lessons()[10:], 0).run(0.3, lambda *_: None, kept.append)
    begun, losses = kept[-1], []
    again = Training(LLAMA, MEDUSA, lessons()[:10], lessons()[10:], 0, begun)
    again.run(0.1, lambda _, what: losses.append(what), kept.append)
    known, before = kept[-1].training, begun.training
    assert losses[1].startswith(f"step {before['steps'] + 1}, ")
    assert (known["texts"], known["seeds"]) == (before["texts"], [0]), "the same texts are counted once"
    assert known["training_s"] > before["training_s"]
    assert known["curve"][: len(before["curve"])] == before["curve"]
    other = Training(LLAMA, MEDUSA, lessons()[:10], lessons()[10:], 1, begun)
    other.run(0.1, lambda *_: None, kept.append)
    assert (kept[-1].training["texts"], kept[-1].training["seeds"]) == (20, [0, 1])


def test_a_tree_has_the_places_that_are_worth_most():
    rates = [[0.6, 0.2], [0.5, 0.3], [0.4, 0.1]]

    def worth(path):
        return torch.tensor([rates[depth][rank] for depth, rank in enumerate(path)]).prod().item()

    every = [path for depth in (1, 2, 3) for path in itertools.product((0, 1), repeat=depth)]
    best = max(
        sum(map(worth, tree))
        for tree in itertools.combinations(every, 4)
        if all(len(path) == 1 or path[:-1] in tree for path in tree)
    )
    chosen = chosen_tree(rates, 4)
    assert sum(map(worth, chosen)) == pytest.approx(best)
    assert all(len(path) == 1 or path[:-1] in chosen[:place] for place, path in enumerate(chosen))


def test_two_drafters_are_verified_in_one_tree():
    both = Joined(small.learned(LLAMA, EAGLE3, 3), Lookup())
    truth = small.plain(LLAMA, new=60)
    made, counts = small.made_by(both, LLAMA, new=60)
    alone = small.made_by(Lookup(), LLAMA, new=60)[1]
    assert made == truth
    assert counts.made / counts.passes >= alone.made / alone.passes > 1


def test_heads_are_written_and_read_and_others_refused(tmp_path):
    heads, path = small.heads(MTP), tmp_path / "heads.safetensors"
    write_heads(path, MTP, heads)
    again = read_heads(path, MTP, small.CONFIG)
    for name, tensor in heads.module.state_dict().items():
        assert torch.equal(again.module.state_dict()[name], tensor.bfloat16().float())
    with pytest.raises(ValueError, match="heads of mtp_deepseek, not of eagle3"):
        read_heads(path, EAGLE3, small.CONFIG)
    with pytest.raises(ValueError, match="a model of another shape"):
        read_heads(path, MTP, checkpoint("random:small").config)


@pytest.fixture
def short_texts(monkeypatch):
    for size, value in (("_BATCH", 8), ("_QUESTION", 8), ("_ANSWER", 16)):
        monkeypatch.setattr(_distil, size, value)


@pytest.mark.usefixtures("short_texts", "steady")
def test_methods_learn_from_the_same_texts_and_an_interrupted_training_goes_on_with_them():
    def interrupted(share, what):
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_heads(MEDUSA, "random:tiny", 0, 20.0, False, interrupted)
    (file,) = places_of_heads("random:tiny", MEDUSA)[0].parent.glob("*-texts-0.pt")
    begun = torch.load(file)
    told = []
    for method in (MEDUSA, MTP):
        path = train_heads(method, "random:tiny", 0, 2 * begun["spent_s"], False, lambda _, what: told.append(what))
        assert path == places_of_heads("random:tiny", method)[0]
        known = read_heads(path, method, checkpoint("random:tiny").config).training
        assert (known["texts"], known["seeds"], known["model"]) == (len(begun["lessons"]), [0], "random:tiny")
    assert torch.load(file)["rounds"] == begun["rounds"] == 1


@pytest.mark.usefixtures("short_texts", "steady")
def test_heads_of_an_interrupted_training_are_gone_on_with():
    def interrupted(share, what):
        if share > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(ValueError, match="no heads of medusa to go on from"):
        train_heads(MEDUSA, "random:tiny", 0, 0.8, True, interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_heads(MEDUSA, "random:tiny", 0, 0.8, False, interrupted)
    place = places_of_heads("random:tiny", MEDUSA)[0]
    unfinished = place.with_suffix(".unfinished.safetensors")
    assert not place.exists(), "what is half trained takes nobody's place"
    config = checkpoint("random:tiny").config
    begun = read_heads(unfinished, MEDUSA, config).training
    train_heads(MEDUSA, "random:tiny", 0, 0.2, True, lambda *_: None)
    known = read_heads(place, MEDUSA, config).training
    assert known["curve"][: len(begun["curve"])] == begun["curve"]
    assert known["steps"] > begun["steps"]
    assert not unfinished.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("eagle2",), "eagle"),
        (("medusa", "--model", "smolm2"), "did you mean smollm2?"),
        (("medusa", "--budget", "long"), "--budget long: "),
        (("medusa", "--seed", "x"), "--seed x: expected a whole number"),
    ],
)
def test_a_training_that_cannot_be_is_refused_in_a_line(arguments, words, tmp_path):
    done = bench("heads", "train", *arguments, cwd=tmp_path)
    assert (done.returncode, words in done.stderr, len(done.stderr.splitlines())) == (2, True, 1), done.stderr
