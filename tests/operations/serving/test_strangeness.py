"""Which predictions to look at: the strangest ones, and a queue with a random share."""

from pathlib import Path

import torch

from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.strangeness import FEWEST, Strangeness

DIRECTION = "sem2layout"


def predict(store: Store, name: str, image: torch.Tensor) -> None:
    store.register(name, DIRECTION, "one", image, image, pixel_nm=20.0)


def scene(seed: int, offset: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    wave = torch.sin(torch.arange(32) * (0.6 + 0.3 * torch.rand(1, generator=generator)))
    noise = 0.05 * torch.randn(1, 32, 32, generator=generator)
    return (0.5 + offset + 0.2 * wave + noise).clamp(0, 1)


def test_the_strangest_image_is_found_and_its_feature_named(store: Store) -> None:
    for seed in range(30):
        predict(store, f"p{seed:02d}", scene(seed))
    predict(store, "bright", scene(99, 0.3))
    predict(store, "small", torch.rand(1, 8, 8))  # cannot be measured
    store.add_label("l", "bright", "truth", scene(1))
    found = Strangeness(store).strangest(DIRECTION, 200, 5)
    assert (found["against"], found["considered"], found["waiting"]) == ("recent", 31, 0)
    first = found["images"][0]
    assert (first["id"], first["labelled"], first["verdict"]) == ("bright", True, None)
    assert first["distance"] == abs(first["deviations"]) > 5
    distances = [image["distance"] for image in found["images"]]
    assert distances == sorted(distances, reverse=True)
    newest = Strangeness(store).strangest(DIRECTION, 5, 5)  # too few to compare with one another
    assert (newest["considered"], newest["images"]) == (0, [])
    assert Strangeness(store).strangest("layout2sem", 200, 5)["images"] == []


def test_measuring_is_limited_and_goes_on_with_the_next_request(store: Store) -> None:
    for seed in range(FEWEST + 2):
        predict(store, f"p{seed:02d}", scene(seed))
    strangeness = Strangeness(store)
    left = [strangeness.strangest(DIRECTION, 200, 5, seconds=0.0)["waiting"] for _ in range(FEWEST + 3)]
    assert left == [*range(FEWEST + 1, 0, -1), 0, 0]


def test_the_queue_has_a_random_share_that_does_not_depend_on_the_image(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other.sqlite")
    for seed in range(40):
        strange = 0.3 if seed < 4 else 0.0
        predict(store, f"p{seed:02d}", scene(seed, strange))
        predict(other, f"p{seed:02d}", scene(seed))
    queue, plain = (Strangeness(one).queue(DIRECTION, 1000, 10, 0.6) for one in (store, other))
    other.close()
    assert (queue["candidates"], queue["random"], queue["strange"]) == (40, 6, 4)
    random = [image["id"] for image in queue["images"] if image["why"] == "random"]
    assert random == [image["id"] for image in plain["images"] if image["why"] == "random"]
    ages = sorted(int(name[1:]) for name in random)
    assert ages[0] < 20 <= ages[-1]  # old and new ones
    assert ages not in ([*range(6)], [*range(34, 40)])
    strange = {image["id"] for image in queue["images"] if image["why"] == "strange"}
    assert {f"p{seed:02d}" for seed in range(4)} <= strange | set(random)
    assert strange.isdisjoint(random)
    assert "6 drawn at random and the 4 strangest of 40" in queue["text"]


def test_the_queue_goes_on_where_it_was_left(store: Store) -> None:
    for seed in range(20):
        predict(store, f"p{seed:02d}", scene(seed))
    strangeness = Strangeness(store)
    before = [image["id"] for image in strangeness.queue(DIRECTION, 1000, 6, 1.0)["images"]]
    store.add_label("l", before[0], "corrected", scene(0))
    store.judge(before[1], "accept", id="1")
    store.judge(before[2], "accept", id="2")
    store.judge(before[2], None, id="3")  # withdrawn: open again
    after = [image["id"] for image in strangeness.queue(DIRECTION, 1000, 6, 1.0)["images"]]
    assert after[:4] == before[2:]
    assert len(after) == 6
