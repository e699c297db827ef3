"""Questions of lessons 07 to 09."""

from gantrans.teaching.learner.question import Recall

QUESTIONS: tuple[Recall, ...] = (
    Recall(
        "07_cost",
        "07",
        "A generator draws perfect grain, in other places than the real grain. How much PSNR does it lose "
        "against the mean of all right answers?",
        ("0 dB", "3 dB", "20 dB"),
        1,
        "The error of the mean is the real grain; that of the imitator is the difference of two grains: "
        "twice the variance.",
    ),
    Recall(
        "07_net",
        "07",
        "The network draws a line that is not there and loses a contact that is. By how much does the number "
        "of features change?",
        ("0", "1", "2"),
        0,
        "One more and one less: that is why features are matched, not only counted.",
    ),
    Recall(
        "07_cycle_layout",
        "07",
        "A(B(layout)) should be the layout again. What does A learn from this?",
        (
            "To hide the grain in its output",
            "Nothing: L1 says the same",
            "To read images that B made, with the layouts they were made from",
        ),
        2,
        "It is an extra pair, as good as B is; B may make it from a layout that has no image.",
    ),
    Recall(
        "07_weights",
        "07",
        "Weights L1 100 and GAN 0.5 in each direction: how many times the adversarial weight is L1's?",
        ("50", "100", "200"),
        2,
        "100 / 0.5; and a weight is not a share yet: compare gradients.",
    ),
    Recall(
        "07_l1_gradient",
        "07",
        "L1 with weight 100 on one image of 64 x 64 pixels: how large is the norm of its gradient at the "
        "image?",
        ("1.5625", "It depends on the error", "100"),
        0,
        "100 / 4,096 at each of 4,096 pixels, whatever the error: 100 / 64.",
    ),
    Recall(
        "07_off",
        "07",
        "Feature matching has weight 0, and its loss is NaN. What is 0 times NaN?",
        ("0", "NaN", "An error"),
        1,
        "A term of weight 0 must be left out, not multiplied.",
    ),
    Recall(
        "07_lopsided",
        "07",
        "A pixel is bright in 30 % of cases, else dark. For L1, but too dark costs three times as much as "
        "too bright, the best answer is",
        ("dark", "bright", "in between"),
        1,
        "3 x 0.3 = 0.9 outweighs 0.7: the median tips.",
    ),
    Recall(
        "07_half_grain",
        "07",
        "Grain of half the real amplitude: about how much PSNR does it cost, and how much texture is "
        "missing?",
        ("1 dB and 6 dB", "3 dB and 3 dB", "1.5 dB and 1.5 dB"),
        0,
        "10 log10(1 + 1/4) is 0.97 dB, 20 log10(1/2) is -6 dB: the first grain is nearly free.",
    ),
    Recall(
        "08_rows",
        "08",
        "Which sums of an attention map must be one, so that a constant field comes back constant?",
        ("The columns", "The rows: over all places that are looked at", "The whole map"),
        1,
        "Each place takes a weighted *mean* of the values, and the weights of a mean add up to one.",
    ),
    Recall(
        "08_start",
        "08",
        "A block gamma * attention(x) + x starts with gamma = 0. Which of its weights have a gradient "
        "that is not zero in the first step?",
        ("Gamma alone", "All but gamma", "All of them"),
        0,
        "The others are multiplied by gamma; they wait until it has left zero.",
    ),
    Recall(
        "08_square",
        "08",
        "The side of the feature map doubles. How much larger is the attention map?",
        ("2 times", "4 times", "16 times"),
        2,
        "Four times as many places, and a weight for every pair of them.",
    ),
    Recall(
        "08_gib",
        "08",
        "How large is one float32 attention map over 128 x 128 places?",
        ("64 MiB", "1 GiB", "16 GiB"),
        1,
        "16,384 places, squared, times four bytes.",
    ),
    Recall(
        "08_parameters",
        "08",
        "How many parameters has a block at 64 channels (queries and keys with 8)?",
        ("1,041", "4,160", "5,201"),
        2,
        "Twice 8 x 64 + 8 for queries and keys, 64 x 64 + 64 for values, and gamma.",
    ),
    Recall(
        "08_scale",
        "08",
        "Queries of width 32 are filled up with zeros to 256 for the fused kernel. By what does it divide "
        "their products, unless told not to?",
        ("16", "Nothing", "About 5.7"),
        0,
        "By the root of the width it is given, 256: say scale = 1.0.",
    ),
    Recall(
        "08_order",
        "08",
        "You shuffle the places of the input of an attention block. What happens to its output?",
        ("It does not change", "It is shuffled in the same way", "It becomes a mean over all places"),
        1,
        "Attention knows no positions: it sees a set of places, and answers each of them.",
    ),
    Recall(
        "09_conventions",
        "09",
        "Feature matching is averaged over four layers here and summed over them there. Which weight "
        "there acts like 10 here?",
        ("10", "2.5", "40"),
        1,
        "The sum is four times the average, so a quarter of the weight does the same.",
    ),
    Recall(
        "09_detach",
        "09",
        "You forget to detach the real features. What changes in the generator's gradient?",
        ("Its sign", "It doubles", "Nothing"),
        2,
        "The made image does not enter the pass over the real one; only D's gradients and the time change.",
    ),
    Recall(
        "09_even",
        "09",
        "A transposed convolution of stride 2: with which kernel gets every inner pixel equally many "
        "contributions?",
        ("3", "4", "5"),
        1,
        "The stride must divide the kernel; even so the weights that meet may differ.",
    ),
    Recall(
        "09_places",
        "09",
        "At how many frequencies of a 64 x 64 spectrum lies a pattern with period two, across, down or both?",
        ("1", "3", "64"),
        1,
        "Half the sampling rate across, down, and both at once.",
    ),
    Recall(
        "09_real_constant",
        "09",
        "`feature_matching(real, fake).backward()`: which of the two lists of features gets gradients?",
        ("Both", "The real ones", "The made ones"),
        2,
        "The real features are the target: constants.",
    ),
    Recall(
        "09_layers",
        "09",
        "The default PatchGAN (n_layers = 3) returns how many layers of features beside its logits?",
        ("3", "4", "5"),
        1,
        "One after each activation: n_layers + 1; the logits have none.",
    ),
    Recall(
        "09_constant",
        "09",
        "D's features of the real and of the made image are equal in every layer. How large is the loss?",
        ("0", "1", "It depends on the weight"),
        0,
        "A distance of equal things is zero, whatever the weight.",
    ),
)
