"""Methods make the text of plain decoding, stop where it stops, and what does not is rejected."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import pytest
import torch

from harness.catalog import load_catalog
from implementations.decoding import workload as decoding
from implementations.decoding._decode import NoDrafter, Sampler
from implementations.decoding._engine import Engine
from implementations.decoding._jacobi import Jacobi
from implementations.decoding._lookup import Lookup
from implementations.decoding._method import Decoded, load_model
from implementations.decoding._method import decoding as decoding_of
from implementations.decoding._places import METHODS
from implementations.decoding._proof import units_behind
from implementations.decoding._skipping import SelfDraft
from tests.implementations.decoding import small

WORK = decoding.workload
DEFAULTS = {axis.name: axis.parse(axis.default) for axis in WORK.axes} | {"model": "random:tiny", "new_tokens": 12}
LENGTHS = [len(prompt) for prompt in small.PROMPTS]
LLAMA = small.model()


DRAFTERS = {
    "none": NoDrafter,
    "lookup": Lookup,
    "lookahead": Jacobi,
    "self draft": partial(SelfDraft, LLAMA, [0, 1, 3], len(LENGTHS), 256, Sampler(0, 0)),
    **{f"{method} {width}": partial(small.learned, LLAMA, method, width) for method in METHODS for width in (1, 3)},
}


@cache
def plain(new=20):
    """Return what plain decoding makes, once for all that is compared with it."""
    return small.plain(LLAMA, new=new)


def inputs(**changes):
    return WORK.make_inputs(DEFAULTS | changes, "cpu", torch.manual_seed(0))


@pytest.mark.parametrize("name", DRAFTERS)
def test_a_method_makes_the_text_of_plain_decoding_and_ends_where_that_ends(name):
    assert small.made_by(DRAFTERS[name](), LLAMA, new=60)[0] == plain(60)
    truth = plain(24)
    for end in (truth[0][8], truth[1][13]):
        wanted = [text[: text.index(end) + 1] if end in text else text for text in truth]
        assert small.made_by(DRAFTERS[name](), LLAMA, new=24, eos=(end,))[0] == wanted


@pytest.mark.parametrize("new", [1, 2, 3, 11])
def test_no_method_makes_more_than_it_is_asked_for(new):
    for drafter in (*(make() for make in DRAFTERS.values()), foretelling()):
        made, counts = small.made_by(drafter, LLAMA, new=new)
        assert made == [text[:new] for text in plain()]
        assert counts.made == len(made) * (new - 1)


def foretelling(**changes):
    return small.Foretelling(plain(), LENGTHS, **changes)


def test_right_guesses_are_all_kept():
    made, counts = small.made_by(foretelling(), LLAMA, new=16)
    assert made == plain(16)
    assert counts.made == 5 * counts.passes
    assert counts.kept == [counts.passes] * 4


def test_wrong_guesses_are_never_kept_and_change_nothing():
    made, counts = small.made_by(foretelling(right=False), LLAMA)
    assert made == plain()
    assert counts.made == counts.passes
    assert counts.nodes > counts.passes
    assert set(counts.kept) == {0}


def test_a_draft_of_all_layers_is_the_model_and_is_kept():
    drafter = SelfDraft(LLAMA, range(small.CONFIG.layers), len(LENGTHS), 256, Sampler(0, 0))
    _, counts = small.made_by(drafter, LLAMA, new=17)
    assert counts.kept == [counts.passes] * 3


@pytest.mark.parametrize(
    "kept",
    ["[range(len(tree.tokens)) for tree in trees]", "[range(len(path)) for path in paths]"],
    ids=["no rollback", "no compaction"],
)
def test_a_loop_that_keeps_what_it_should_not_makes_another_text(kept):
    faulty = small.planted("_decode", "self.engine.keep(paths)", f"self.engine.keep({kept})")
    assert small.made_by(foretelling(), LLAMA, loop=faulty.decode)[0] != plain()


def test_a_tree_whose_ancestors_are_unseen_makes_another_text():
    blind = small.planted("_tree", "seen[node] |= seen[parent]", "pass").Tree
    assert small.made_by(foretelling(tree=blind), LLAMA)[0] != plain()


def test_another_text_is_rejected_and_the_place_is_named():
    x = inputs(batch=2)
    truth = WORK.reference(x)
    tokens = truth.value["tokens"]
    assert WORK.check(Decoded(tokens), truth).fault == ""
    other = [tokens[0], [*tokens[1][:5], (tokens[1][5] + 1) % 250, *tokens[1][6:]]]
    assert WORK.check(Decoded(other), truth).fault == "text 1 differs from plain decoding at token 5"
    assert "ends after 3 tokens" in WORK.check(Decoded([tokens[0], tokens[1][:3]]), truth).fault
    assert "goes on" in WORK.check(Decoded([tokens[0], [*tokens[1], 1]]), truth).fault
    assert "1 texts returned" in WORK.check(Decoded(tokens[:1]), truth).fault


def test_in_bfloat16_another_token_is_right_where_both_are_as_likely_and_nowhere_else():
    x = inputs(dtype="bf16", new_tokens=40)
    truth = WORK.reference(x)
    (tokens,), prompt = truth.value["tokens"], x.batches()[0][0]
    assert units_behind(load_model(x), prompt, tokens) == [0.0] * len(tokens)
    away = [*tokens[:-1], (tokens[-1] + 1) % 250]
    assert "units in the last place behind" in WORK.check(Decoded([away]), truth).fault
    # A last token whose logit is the same as the likeliest is as right.
    tied = replace(truth, value=truth.value | {"tokens": [away]})
    assert WORK.check(Decoded([tokens]), tied).fault == ""


def test_a_text_that_is_too_likely_or_too_unlikely_is_no_sample():
    x = inputs(temperature=1.0, batch=4, new_tokens=40, prompts="summary")
    truth = WORK.reference(x)
    sampled = load_catalog(lazily=False).implementation("decoding", "ar_cached").build(x)()
    assert WORK.check(sampled, truth).fault == ""
    likeliest = WORK.reference(replace(x, temperature=0.0)).value["tokens"]
    assert "deviations from the mean" in WORK.check(Decoded(likeliest), truth).fault
    chance = torch.randint(256, (4, 40), generator=torch.manual_seed(0)).tolist()
    assert "deviations from the mean" in WORK.check(Decoded(chance), truth).fault


def test_typical_guesses_are_kept_and_a_text_that_is_not_typical_is_rejected():
    x = inputs(temperature=1.0, batch=4, new_tokens=40, prompts="summary")
    truth = WORK.reference(x)
    # Whatever is guessed, what is kept is typical.
    drafter = small.Foretelling([[7] * 64] * 4, [0] * 4)
    made = decoding_of(x, lambda *_: drafter, lossy=True)()
    found = WORK.check(made, truth)
    assert (found.fault, found.errors["lossless"]) == ("", 0.0)
    tokens = [[*text] for text in made.tokens]
    tokens[2][30] = unlikeliest(x, tokens, 2, 30)
    assert WORK.check(replace(made, tokens=tokens), truth).fault.startswith("token 30 of text 2 is not typical")


def unlikeliest(x, made, row, place):
    """Return the token that the model deems the least likely at some place."""
    text = [prompt for batch in x.batches() for prompt in batch][row]
    return int(Engine(load_model(x), 1, 512).prefill([[*text, *made[row][:place]]]).logits[0, 0].argmin())


def test_what_is_lossy_is_asked_for_where_it_makes_a_difference():
    method = load_catalog(lazily=False).implementation("decoding", "medusa_typical")
    why = method.requires.unsupported
    assert "nothing but the likeliest" in why(DEFAULTS | {"temperature": 0.0}, "cpu")
    assert "no heads yet" in why(DEFAULTS | {"temperature": 1.0}, "cpu")


def test_counts_say_what_happened():
    x = inputs(new_tokens=40)
    step = load_catalog(lazily=False).implementation("decoding", "prompt_lookup").build(x)
    output = step()
    errors = WORK.check(output, WORK.reference(x)).errors
    assert errors["tokens_per_step"] == pytest.approx(1 + sum(errors["acceptance"]))
    assert errors["tokens_per_step"] > 1
    examined = WORK.examine(output, WORK.reference(x)).errors
    assert examined["time_to_first_token"] > 0
    assert examined["step_overhead"] > 0
