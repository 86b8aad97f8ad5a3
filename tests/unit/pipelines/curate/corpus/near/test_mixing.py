import numpy as np

from pipelines.curate.corpus.near.mixing import constants, mix


def test_mix_gives_the_published_first_values_of_splitmix64() -> None:
    # Seed 1234567, from the reference implementation by S. Vigna.
    step, seed = 0x9E3779B97F4A7C15, 1234567
    states = np.array([(seed + i * step) % 2**64 for i in range(3)], dtype=np.uint64)
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_constants_differ_by_seed_and_repeat() -> None:
    assert np.array_equal(constants(3, 5), constants(3, 9)[:5])
    assert len(np.unique(np.concatenate([constants(seed, 100) for seed in range(100)]))) == 10_000
