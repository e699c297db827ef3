"""A sampler writes into nothing that the model or the caller still holds."""

import pytest
import torch

from gantrans.diffusion import PREDICTIONS, SAMPLERS, SamplerConfig, make_schedule, sample


@pytest.mark.parametrize("trajectory", [False, True])
@pytest.mark.parametrize("chunk", [None, 2])
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_the_model_gave_and_got_stays_as_it_was(sampler, prediction, chunk, trajectory) -> None:
    """The answers are far outside [-1, 1], so that clipping in place would show."""
    held = []

    def model(x, t):
        answer = 3.0 * torch.sin(5.0 * x) + 0.5
        held.append((x, x.clone(), answer, answer.clone()))
        return answer

    start = 2.0 * torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    before = start.clone()
    sample(
        model, (5, 2), make_schedule("cosine", 50), SamplerConfig(sampler, 6), prediction=prediction,
        generator=torch.Generator().manual_seed(1), noise=start, chunk=chunk, trajectory=trajectory,
    )  # fmt: skip
    assert torch.equal(start, before)
    assert len(held) == 6 * (1 if chunk is None else 3)
    for x, x_before, answer, answer_before in held:
        assert torch.equal(x, x_before)
        assert torch.equal(answer, answer_before)


def test_a_model_may_answer_with_the_same_tensor_each_time() -> None:
    """As a table of known images does."""
    image = torch.tensor([[2.0, -0.5], [0.3, -3.0]])
    model = lambda x, t: image  # noqa: E731
    for sampler in SAMPLERS:
        drawn = sample(
            model, (2, 2), make_schedule("cosine", 50), SamplerConfig(sampler, 5), prediction="x0",
            generator=torch.Generator().manual_seed(1),
        )  # fmt: skip
        torch.testing.assert_close(drawn, image.clamp(-1, 1), atol=1e-6, rtol=0)
        assert image.tolist() == [[2.0, -0.5], [pytest.approx(0.3), -3.0]]
