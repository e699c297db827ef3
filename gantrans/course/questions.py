"""The pool of recall questions. Answers that can be computed are computed, by `tests/test_recall.py`.

The first three questions of a lesson close it; the others come back at the start of later lessons.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recall:
    """A multiple-choice question; `answer` is the position of the right choice, `why` one sentence."""

    id: str
    lesson: str
    text: str
    choices: tuple[str, ...]
    answer: int
    why: str

    @property
    def right(self) -> str:
        """The right choice."""
        return self.choices[self.answer]


QUESTIONS: tuple[Recall, ...] = (
    Recall(
        "basics_cat",
        "basics",
        "Two tensors of shape (4, 1, 8, 8) are joined by `torch.cat(..., dim=1)`. Which shape comes out?",
        ("(8, 1, 8, 8)", "(4, 2, 8, 8)", "(2, 4, 1, 8, 8)"),
        1,
        "`cat` joins along an axis that exists already; axis 1 holds the channels.",
    ),
    Recall(
        "basics_uint8",
        "basics",
        "What is 250 + 10 in a `uint8` tensor?",
        ("260", "255", "4"),
        2,
        "Eight bits hold 0 to 255 and wrap around: change the type before you do arithmetic on pixels.",
    ),
    Recall(
        "basics_accumulate",
        "basics",
        "The gradient of 3x is 3. You call `backward` twice without `zero_grad`. What is in `x.grad`?",
        ("6, the sum", "3, the last one", "0"),
        0,
        "`backward` adds to `.grad`; that is why a training step begins by clearing it.",
    ),
    Recall(
        "basics_broadcast",
        "basics",
        "Which shape has the sum of tensors of shapes (3, 1) and (1, 4)?",
        ("It is an error", "(3, 4)", "(4,)"),
        1,
        "Axes of length 1 are stretched to fit.",
    ),
    Recall(
        "basics_axis",
        "basics",
        "`torch.tensor([[0, 1, 2], [3, 4, 5]]).sum(dim=0)` is",
        ("[3, 12]", "15", "[3, 5, 7]"),
        2,
        "The axis you name is the one that disappears.",
    ),
    Recall(
        "basics_detach",
        "basics",
        "What does `x.detach()` give?",
        ("A copy with its own memory", "The same values without their history", "Zeros of the same shape"),
        1,
        "It shares the memory of x, but gradients stop there.",
    ),
    Recall(
        "00_range",
        "00",
        "Which value does the grey level 0 have inside the networks?",
        ("-1", "0", "-0.5"),
        0,
        "x / 127.5 - 1 sends 0 to -1 and 255 to +1, the range of tanh.",
    ),
    Recall(
        "00_photometric",
        "00",
        "Why do we flip and turn pairs but never change their brightness?",
        ("Brightness is normalised away anyway", "It would be too slow", "SEM intensity carries physics"),
        2,
        "Contrast and edge bloom tell material and height; a changed image would no longer "
        "belong to its layout.",
    ),
    Recall(
        "00_symmetries",
        "00",
        "How many different images do flips and quarter turns make of one square clip, itself included?",
        ("4", "16", "8"),
        2,
        "The symmetries of the square: four turns, each with or without a mirror.",
    ),
    Recall(
        "00_gain",
        "00",
        "The template's contrast is doubled and its brightness raised. How does the NCC peak move?",
        ("Towards bright places", "Not at all", "It moves by a pixel or two"),
        1,
        "Mean and contrast are divided out; that is what “normalised” means.",
    ),
    Recall(
        "00_positions",
        "00",
        "At how many positions along one axis does a template of 250 pixels fit into a field of 304?",
        ("54", "55", "304"),
        1,
        "H - h + 1: the first and the last position both count.",
    ),
    Recall(
        "00_low_score",
        "00",
        "An alignment comes back with a low NCC score. What happens to the pair?",
        ("It is flagged for quality control", "It is used with a small weight", "It is used like any other"),
        0,
        "A misaligned pair teaches every edge in the wrong place; it must never enter in silence.",
    ),
    Recall(
        "00_resize",
        "00",
        "An image of 250 pixels of 10 nm is resized to 256 pixels. How large is a pixel now?",
        ("10 nm", "10.24 nm", "9.77 nm"),
        2,
        "The field of view stays 2,500 nm; carry the new pixel size along, or every CD is 2.4 % off.",
    ),
    Recall(
        "04_where",
        "04",
        "What does a skip connection bring to the decoder that the bottleneck cannot?",
        ("More channels for the loss", "Where things are, to the pixel", "The label of the family"),
        1,
        "The bottleneck has few places; the encoder's map of the same size still has them all.",
    ),
    Recall(
        "04_median",
        "04",
        "A pixel is 0 in seven of ten equally plausible targets, 1 in three. What does a network "
        "trained with L1 say?",
        ("0", "0.3", "0.7"),
        0,
        "L1 is least at the median. L2 would say the mean, 0.3: grey.",
    ),
    Recall(
        "04_bottleneck",
        "04",
        "How large is the bottleneck's map with five downs at 64 pixels?",
        ("4 x 4", "2 x 2", "1 x 1"),
        1,
        "64, 32, 16, 8, 4, 2.",
    ),
    Recall(
        "04_channels",
        "04",
        "Base 48, cap 256: how many channels has encoder level 3?",
        ("384", "192", "256"),
        2,
        "48 x 8 = 384 is above the cap.",
    ),
    Recall(
        "04_iou",
        "04",
        "Two masks of six pixels each share three. What is their IoU?",
        ("1/3", "1/2", "1/4"),
        0,
        "Three in common, nine in either; 1/2 would be Dice.",
    ),
    Recall(
        "04_mean",
        "04",
        "The same pixel (0 in seven of ten targets, 1 in three), trained with the squared error: "
        "what comes out?",
        ("0", "0.5", "0.3"),
        2,
        "The squared error is least at the mean: a grey that none of the targets shows.",
    ),
    Recall(
        "04_batch_norm",
        "04",
        "With batch normalisation, does an image's output depend on the other images of its batch?",
        ("Never", "In training only", "Always"),
        1,
        "In use the running values take the place of the batch's.",
    ),
    Recall(
        "05_field",
        "05",
        "How many pixels wide is the patch that a logit of the full PatchGAN (n_layers = 3) sees?",
        ("30", "70", "256"),
        1,
        "Three convolutions of stride 2 and two of stride 1, kernel 4: 70.",
    ),
    Recall(
        "05_map",
        "05",
        "And how many logits does it give for 256 x 256 pixels?",
        ("30 x 30", "32 x 32", "70 x 70"),
        0,
        "256, 128, 64, 32, then one pixel less in each of the two last layers.",
    ),
    Recall(
        "05_condition",
        "05",
        "What could a generator get away with if D saw only its output?",
        ("Blurred images", "A convincing image of another layout", "Images of the wrong size"),
        1,
        "Without the condition D judges realism alone; it cannot see whether the answer fits the input.",
    ),
    Recall(
        "05_next_field",
        "05",
        "One more layer of stride 2 (n_layers = 4): how wide is the field?",
        ("102", "140", "142"),
        2,
        "16, 34, 70, 142, 286: each time twice the last, plus 2.",
    ),
    Recall(
        "05_undecided",
        "05",
        "D answers 0.5 to everything. How large is its least-squares loss (halved)?",
        ("0.25", "0.5", "1"),
        0,
        "Both means are 0.25, and half their sum is 0.25.",
    ),
    Recall(
        "05_instance_norm",
        "05",
        "D has a 3 x 3 field. What does a logit depend on if instance normalisation is put in front?",
        ("Still 3 x 3 pixels", "The whole image", "5 x 5 pixels"),
        1,
        "Mean and variance are taken over the whole map, so every pixel moves every logit a little.",
    ),
    Recall(
        "05_corner",
        "05",
        "The corner logit's field of 70 rows reaches into the padding. How many rows of the "
        "image does it see?",
        ("70", "35", "47"),
        2,
        "Its span is -23 to 46: the corner judges less of the image than the middle does.",
    ),
)
