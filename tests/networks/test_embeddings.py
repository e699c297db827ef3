"""The sinusoidal embedding against diffusers and its identity; every kind of time embedding."""

import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.networks.embeddings import EMBEDDINGS, TimeEmbedding, TimeMLP, sinusoidal_embedding

T = torch.tensor([0, 1, 17, 500, 999])


def test_sinusoidal_embedding_is_that_of_diffusers_for_matching_flags():
    from diffusers.models import embeddings

    ours = sinusoidal_embedding(T, 64)
    theirs = embeddings.get_timestep_embedding(T, 64, flip_sin_to_cos=False, downscale_freq_shift=0)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    flipped = embeddings.get_timestep_embedding(T, 64, flip_sin_to_cos=True, downscale_freq_shift=0)
    torch.testing.assert_close(ours.roll(32, 1), flipped, rtol=0, atol=1e-6)
    shifted = embeddings.get_timestep_embedding(T, 64)  # its default is another embedding
    assert (ours - shifted).abs().max() > 1


def test_similarity_depends_on_the_difference_of_times_alone():
    """sin a sin b + cos a cos b = cos(a - b)."""
    e = sinusoidal_embedding(torch.arange(200).double(), 32)
    similarity = e @ e.T
    for lag in (0, 1, 30):
        diagonal = similarity.diagonal(lag)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=2e-4)
    torch.testing.assert_close(similarity.diagonal(), torch.full((200,), 16.0), rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", EMBEDDINGS)
def test_every_kind_tells_times_apart_but_none(kind):
    torch.manual_seed(0)
    embedded = TimeEmbedding(kind, 16, 1000)(T)
    assert embedded.shape == (5, 16)
    assert embedded.dtype == torch.float32
    distances = torch.cdist(embedded, embedded) + torch.eye(5)
    assert bool((distances > 1e-4).all()) == (kind != "none")
    assert TimeMLP(kind, 16, 24, 1000)(T).shape == (5, 24)


def test_random_frequencies_are_kept_with_the_weights():
    assert "frequencies" in TimeEmbedding("fourier", 16, 1000).state_dict()


def test_bad_kinds_and_widths_are_refused():
    with pytest.raises(ConfigError, match="no embedding 'sin'; the embeddings are sinusoidal"):
        TimeEmbedding("sin", 16, 1000)
    with pytest.raises(ConfigError, match="even and at least 2"):
        sinusoidal_embedding(T, 7)
