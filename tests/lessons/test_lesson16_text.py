"""Lesson 16, text: clips and captions say the same, unknown words are refused, and what the figures show."""

from itertools import combinations

import pytest
import torch
from cut import cut_texts

from gantrans.errors import DataError
from gantrans.metrics import rule_valid
from gantrans.teaching.plots import alt_text
from lessons.exports import _sentences
from lessons.lesson16 import captions, text
from lessons.lesson16.captions import PARAMETERS, SIDE, VALUES, Layout, agreement, draw_all, layouts, read
from lessons.lesson16.exercises.cross_attention import cross_attention
from lessons.lesson16.exercises.word_weights import word_weights
from lessons.lesson16.figures import text as figures

ALL = layouts()


@pytest.mark.parametrize("seed", range(3))
def test_every_clip_shows_its_layout_and_obeys_the_design_rule(seed):
    clips = draw_all(ALL, seed)
    assert read(clips) == ALL
    assert rule_valid((clips + 1) / 2, captions.RULE, captions.RULE).all()
    assert set(clips.unique().tolist()) == {-1.0, 1.0}


def test_clips_depend_on_the_seed_and_their_place_alone():
    clips = draw_all(ALL, 4)
    torch.testing.assert_close(draw_all(ALL[:20], 4), clips[:20], rtol=0, atol=0)
    assert (draw_all(ALL, 5) != clips).flatten(1).any(1).float().mean() > 0.7
    one_line = draw_all([Layout(1, "vertical", 60, 1, 1)] * 30, 0)
    assert len(one_line.flatten(1).unique(dim=0)) > 20


def test_held_out_layouts_are_new_only_as_combinations():
    held_out, known = layouts(True), layouts(False)
    assert (len(held_out), len(known)) == (18, 144)
    assert sorted(map(str, held_out + known)) == sorted(map(str, ALL))
    for part in (held_out, known):
        for first, second in combinations(PARAMETERS, 2):
            pairs = {(getattr(layout, first), getattr(layout, second)) for layout in part}
            assert len(pairs) == len(VALUES[first]) * len(VALUES[second])


def test_every_caption_says_its_layout_in_known_words():
    used = set()
    for layout in ALL:
        found = list(text.captions(layout))
        assert len(set(found)) == len(found) >= 32
        for caption in found:
            assert text.layout_of(caption) == layout
        used.update(*map(text.words, found))
    assert used == set(text.VOCABULARY) - {text.PADDING, text.START}
    said = text.say(ALL, 3)
    assert [text.layout_of(caption) for caption in said] == ALL
    assert text.say(ALL[:9], 3) == said[:9] != text.say(ALL[:9], 4)
    example = "three vertical lines, 60 nm wide, one jog, two contacts"
    assert example in text.captions(Layout(3, "vertical", 60, 1, 2))


def test_what_a_prompt_leaves_open_agrees_with_everything():
    assert text.layout_of("two wires") == Layout(2, None, None, 0, 0)
    clips = draw_all([Layout(2, "horizontal", 80, 0, 0), Layout(2, "vertical", 60, 1, 0)], 0)
    shares = agreement([text.layout_of("two wires")] * 2, clips)
    assert shares == {"lines": 1, "orientation": 1, "width": 1, "jogs": 0.5, "contacts": 1, "all": 0.5}


def test_numbers_of_a_caption_are_start_words_and_padding():
    ids = text.encode(["Two wires, 60 nm wide.", "", "one via"])
    assert (ids.shape, ids.dtype) == ((3, text.LENGTH), torch.int64)
    assert [text.VOCABULARY[i] for i in ids[0, :7]] == [
        "<start>",
        "two",
        "wires",
        "60",
        "nm",
        "wide",
        "<padding>",
    ]
    assert ids[1].tolist() == [1] + [0] * (text.LENGTH - 1)
    longest = max((text.words(c) for layout in ALL for c in text.captions(layout)), key=len)
    assert len(longest) < text.LENGTH


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("three vertical lins", "the word “lins”; the nearest known ones are “lines” or “line”."),
        ("four lines", "the word “four”; the nearest known ones are “three” or “two”."),
        ("2 lines", "the word “2”; the nearest known ones are “two” or “one”."),
        ("one line of 70 nm", "the word “70”; the nearest known ones are “60” or “80”."),
        ("one line of 500 nm", "the word “500”; the nearest known ones are “100” or “80”."),
        ("one jog & one via", "the word “&”; known are no, one, two"),
        ("one line " * 7, "The caption has 14 words; write at most 13"),
    ],
)
def test_an_unknown_word_is_named_with_the_nearest_known_ones(prompt, sentence):
    with pytest.raises(DataError) as error:
        text.encode(["one line", prompt])
    assert sentence in str(error.value)


def block(*corners):
    """An image (1, 1, 32, 32), drawn at rectangles of rows and columns."""
    image = -torch.ones(1, 1, SIDE, SIDE)
    for top, left, bottom, right in corners:
        image[..., top:bottom, left:right] = 1
    return image


@pytest.mark.parametrize(
    ("image", "layout"),
    [
        (block((0, 5, 32, 9)), Layout(1, "vertical", 80, 0, 0)),
        (block((5, 0, 8, 32), (20, 0, 23, 32)), Layout(2, "horizontal", 60, 0, 0)),
        (block((0, 5, 32, 9), (5, 0, 9, 32)), Layout(None, None, None, None, 0)),  # a cross
        (block((0, 5, 30, 9)), Layout(None, None, None, None, None)),  # an end is neither line nor contact
        (block((10, 10, 14, 14)), Layout(None, None, None, None, 1)),
        (
            block((0, 5, 32, 9), (4, 20, 8, 24), (12, 20, 13, 21)),
            Layout(1, "vertical", 80, 0, None),
        ),  # a speck
        (block((0, 5, 16, 9), (16, 6, 32, 10)), Layout(1, "vertical", 80, 0, 0)),  # one pixel is no jog
        (-torch.ones(1, 1, SIDE, SIDE), Layout(None, None, None, None, 0)),
        (torch.ones(1, 1, SIDE, SIDE), Layout(None, None, None, None, 0)),
    ],
)
def test_what_is_no_line_and_no_contact_is_not_read_as_one(image, layout):
    assert read(image) == [layout]


def test_agreement_counts_each_parameter_and_all_at_once():
    wanted = [Layout(1, "vertical", 60, 0, 1), Layout(2, "vertical", 60, 0, 0)]
    shown = [Layout(1, "vertical", 60, 1, 1), Layout(2, "vertical", 80, 0, 0)]
    assert agreement(wanted, draw_all(shown, 0)) == {
        "lines": 1, "orientation": 1, "width": 0.5, "jogs": 0.5, "contacts": 1, "all": 0,
    }  # fmt: skip


def test_a_place_sees_the_words_and_no_padding():
    """The two exercises together: what stands at padding does not matter, what stands at a word does."""
    draw = torch.Generator().manual_seed(0)
    maps, words = (torch.randn(*shape, generator=draw) for shape in ((1, 4, 2, 3), (1, 5, 6)))
    matrices = [torch.randn(*shape, generator=draw) for shape in ((2, 4), (2, 6), (4, 6))]
    real = torch.tensor([[True, True, True, False, False]])
    seen = cross_attention(maps, words, real, *matrices)
    other, longer = words.clone(), torch.cat([words, words], dim=1)
    other[:, 3:] += 7
    torch.testing.assert_close(cross_attention(maps, other, real, *matrices), seen)
    more = torch.cat([real, torch.zeros_like(real)], dim=1)
    torch.testing.assert_close(cross_attention(maps, longer, more, *matrices), seen)
    other[:, 0] += 7
    assert not torch.allclose(cross_attention(maps, other, real, *matrices), seen)
    assert word_weights(torch.zeros(1, 1, 5), real).tolist()[0][0] == pytest.approx([1 / 3] * 3 + [0, 0])


def test_the_network_of_the_exported_file_follows_the_order_of_words():
    """Numbers belong to the nouns after them; an empty sentence is one; every weight takes part."""
    torch.manual_seed(0)
    sentences = ["two jogs, three vias", "three jogs, two vias", ""]
    vocabulary = _sentences.vocabulary_of(sentences)
    tokens = _sentences.encode(sentences, vocabulary, 8)
    assert tokens[2].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    net = _sentences.TextNet(len(vocabulary) + 2, 8, width=16, blocks=2, words=8)
    x, t = torch.randn(1, 1, 16, 16).expand(3, 1, 16, 16), torch.full((3,), 500)
    answers = net(x, t, tokens)
    assert answers.shape == x.shape
    assert answers.isfinite().all()
    alone = net(x[:1], t[:1], tokens[:1])
    torch.testing.assert_close(alone, answers[:1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(answers[0], answers[1], atol=1e-3)
    answers.square().sum().backward()
    assert [name for name, weight in net.named_parameters() if not weight.grad.any()] == []
    with pytest.raises(SystemExit):
        _sentences.encode(["four jogs"], vocabulary, 8)


def test_no_caption_is_cut_off():
    """Of four lines above a clip, and of five below it."""
    asked = Layout(2, "vertical", 60, 1, 0)
    drawn = draw_all([asked, Layout(3, "horizontal", 80, 0, 2)] * 3, 0)
    assert max(len(figures.difference(asked, layout)) for layout in captions.read(drawn)) == 5
    long = "two horizontal wires, 80 nm wide with two bends and two contacts"
    for figure in (
        figures.captions_figure(drawn, [long, "one line"] * 3),
        figures.captions_figure(drawn, ["one line"] * 6),
        figures.prompt_figure(drawn, asked, "two lines"),
        figures.prompt_figure(drawn[:1].expand(6, -1, -1, -1), asked, "two lines"),
    ):
        assert cut_texts(figure) == []


def test_figures_say_what_was_read_from_the_clips():
    asked = Layout(2, "vertical", 60, 1, 0)
    shown = [asked, Layout(2, "vertical", 80, 2, 0), Layout(1, "horizontal", 60, 1, 1)]
    drawn = draw_all(shown, 0)
    assert figures.difference(asked, shown[1]) == ["80 nm", "2 jogs"]
    assert figures.difference(asked, shown[2]) == ["1 line", "horizontal", "1 contact"]
    figure = figures.prompt_figure(drawn, asked, "two lines")
    assert alt_text(figure) == (
        "“two lines”: 1 of 3 as asked. "
        "Read otherwise: clip 2: 80 nm, 2 jogs; clip 3: 1 line, horizontal, 1 contact."
    )
    shares = agreement([asked] * 3, drawn)
    words = alt_text(figures.agreement_figure({"guidance 1": shares}))
    for share in ("lines 67 %", "jogs 67 %", "all 33 %"):
        assert share in words
    assert "two lines" in alt_text(figures.captions_figure(drawn, ["two lines", "", ""]))
    nothing = Layout(None, None, None, None, None)
    assert figures.difference(asked, nothing) == ["no whole line"]
    assert figures.difference(Layout(2, None, None, 1, 0), Layout(2, "vertical", 60, 1, None)) == [
        "something else"
    ]
