"""PDQ against hashes that the reference implementation in C++ made (the package pdqhash 0.2.8) of the same pictures."""

import numpy as np
import pytest

from data_filters import pdq

SIZES = [
    (64, 64),
    (112, 112),
    (224, 224),
    (384, 256),
    (5, 5),
    (7, 300),
    (63, 129),
    (128, 65),
    (500, 400),
    (1000, 90),
]


def generated(seed: int) -> np.ndarray:
    """RGB pixels of coloured tiles of uneven sides with noise on them, made of whole numbers alone."""
    generator = np.random.default_rng(seed)
    height, width = SIZES[seed % len(SIZES)]
    tiles = generator.integers(0, 256, (12, 12, 3)) // (1 + seed % 3 * 4)
    rows, columns = np.sort(generator.integers(0, 12, height)), np.sort(generator.integers(0, 12, width))
    noise = generator.integers(-3 - seed % 30, 4 + seed % 30, (height, width, 3))
    return np.clip(tiles[rows][:, columns] + noise, 0, 255).astype(np.uint8)


REFERENCE = {
    0: ("be10780641ecef0a3b058e78c0fb30c79e1a07e97927789791f5696ca65966f4", 100),  # (64, 64, 3)
    1: ("e3d82c581c2f1e672f08c2de80fe1c29168a630feb54cb85d1b7b4adc92ba975", 91),  # (112, 112, 3)
    2: ("d0b0f9c3261a2704f3bef2b41c6bd0ffff94667d462f0402e1f45fa2c980f092", 26),  # (224, 224, 3)
    3: ("87af7e5b26fec375f8003cacd90009e478f87960d93b8587c372c549c798d9a1", 100),  # (384, 256, 3)
    4: ("c1f0318c3e0fce736b5a6b5ac1f09e273e0f318cc1f0318c3e0fce73695a61d8", 16),  # (5, 5, 3)
    5: ("bd2f462e42e038d1c3904aba87565bca46662435b999a4157cedb545bd2fc72e", 31),  # (7, 300, 3)
    6: ("c50a7ab9cdaecd9b32683442dcd738656739cf982aa57015a2133fe43453d45e", 100),  # (63, 129, 3)
    7: ("0f0fb32a326ca16a4d31ce77edb23247b11be772ce711d0f060efab886cf4890", 100),  # (128, 65, 3)
    8: ("3181278cb16dcaf2cc3be47dce16f8b38f165a823b890696db4526e3c647d81b", 22),  # (500, 400, 3)
    9: ("e016e741413d677f2f6a9880bec218ba1ee0dba98d466793b640b6cb9cc43ee9", 100),  # (1000, 90, 3)
    10: ("e0e09f14e1a23a01a56770c9158fab325a5a42fe827852df1117bf0fb2f8f5e6", 100),  # (64, 64, 3)
    11: ("c0cce74fadf8b0b47d3f407797c4b5395bc3c37a4bc642f0b288b447944818ec", 100),  # (112, 112, 3)
    12: ("2ff538218cc39762b462d81e629c675c53fa67d36469679ef0293cb8246647c9", 100),  # (224, 224, 3)
    13: ("4b44b49b714859650f9f1b2ee440645aa6a24f76b8a5b42bee7b91b538cd4778", 75),  # (384, 256, 3)
    14: ("9e273b0e61d8c4f169d8c6339e2721c89627390e9e273b0e61d8c4f169d8de37", 17),  # (5, 5, 3)
    15: ("83fd4ada7482b5a57c2697820b8e83291f8a7c86e07578d6f4d0697d83dd4a5a", 100),  # (7, 300, 3)
    16: ("97c9572a00d75026ff819cc9558c4f8e8071f6f1732b80fe6d11c9d9a2dcb273", 100),  # (63, 129, 3)
    17: ("90786c0ecc5962765a18330c8b342543fc5d73eb922c96be6d1aceeb96b196f2", 100),  # (128, 65, 3)
    18: ("5ab0f449fd067e265eb9c9995af918b4b10d1cb4fa2878bd9807781893f51571", 100),  # (500, 400, 3)
    19: ("24cef9cc1f812f5ef4a1f0e2261397a1e1ce26823fbb98ac2f5de1549411987e", 97),  # (1000, 90, 3)
    20: ("58893139653ee936608c9bcc3d9c2600ae4e676ff88a50e9a21c9bce6daee27d", 100),  # (64, 64, 3)
    21: ("c63b1365d0b31682c77b3959ce6e39c8af4dc4b4d0b6a7d41181f16de01c897d", 100),  # (112, 112, 3)
    22: ("ccc4c985b69eb4bfc18549c4be492b5a1b7116b3fb07ccc3b414b64f6b0831bc", 100),  # (224, 224, 3)
    23: ("745cc82744d47be27121851d3bab2a988b2eca7b7bdc35cc9ba3f0669b216459", 75),  # (384, 256, 3)
}
EIGHT = {
    0: (
        "be10780641ecef0a3b058e78c0fb30c79e1a07e97927789791f5696ca65966f4",
        "d68a8dcad9373647dcb46b389cc3c793a359d8b0266d796436c694c253b0f485",
        "ebc553ad14bb45a0ee5024d295aa9a6dcb4fad432c72d23dc4a0c7c6f30ccc5e",
        "83df27608c629ced89e1c192c9966d39f60c721a7338d3ce63933e6806e55e2f",
        "be9007f941ec10f53b057187c0ffcf389e1af8167927876891f59293a659990b",
        "ebc5ad5314b9ba5f6e50db2d95aa6592cb4f52bc2c722dc2c4a03839f30c33a1",
        "968a7235d937c9b8dcb494c39cc3386c2359274f266d869b36c6693d53b00b7a",
        "8bdfd89f8c62631289e13e6dc996d2c6f60c8de573382c316393c19726e5e1d0",
    ),
    9: (
        "e016e741413d677f2f6a9880bec218ba1ee0dba98d466793b640b6cb9cc43ee9",
        "c76e06afda1df0100fe3a4405add878f07d7a51039c14eef39454edd9b340fa2",
        "b5424deb1468cdd57abf322aeb9776144bb57143d833cd39e3151c61c9919443",
        "9b3bed058f695aba5ab60fea0f882d255a820ffa6cb4e445ec10e577ce61a508",
        "e01f58be413d9880ffea677fbec2e7451ee02456bd66986cb64149349cc4e116",
        "b542b2141468322a2a3fcdd5eb9789eb4bb58ebcc81332c6e314e39ec9916bbc",
        "c66ef050da1d07cf0fe35abf5add787007d75aaf39c1b1103945b0229b347055",
        "923b5bfa8f48ad655ab6f1150f88d2da5a82f0456cb41bba6c101b88ce615aff",
    ),
    13: (
        "4b44b49b714859650f9f1b2ee440645aa6a24f76b8a5b42bee7b91b538cd4778",
        "52bc4cb663ba8bc99c6ab4268cc943ba49a64cb416fdb6926d1b63994dd8a7c1",
        "1e111e31001d73cf5aca3184b115ce70f3f7e5dc6de01e81bb2e1b1f2d986dd2",
        "17e9e61e36ef2163c93f3e8cd99ce9101df3e61e43a81c38384ec933188d0d6b",
        "4b444b647548a69a0f9fe4d1e4609ba5a6a2b089b8b54bd4ee7b6e4a78cdb887",
        "1e11e1ce241d8c305aca4e7bb135318ff3f71a23ede0e17ebb2ec4e06d98122d",
        "42bcb34963ba74369c6a4bd98cc9bc4548a6b34b14fd494d6d1b9c664dd8583e",
        "03c819e116ebde9cc93fc173d99c16ef1cf319e141a8e3c7384e36cc188df294",
    ),
}


def hashed(text: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(text), np.uint8)


def differing(mine: np.ndarray, theirs: np.ndarray) -> int:
    return int(np.bitwise_count(mine ^ theirs).sum())


@pytest.mark.parametrize("seed", REFERENCE)
def test_hash_and_quality_are_those_of_the_reference(seed):
    grid = pdq.grid(pdq.luma(generated(seed)))
    text, quality = REFERENCE[seed]
    assert grid.dtype == np.float32
    assert grid.shape == (64, 64)
    # The order of floating-point sums may move a coefficient over the median, and one the other way.
    assert differing(pdq.bits(pdq.coefficients(grid)), hashed(text)) <= 2
    assert abs(int(pdq.quality(grid)) - quality) <= 1


@pytest.mark.parametrize("seed", EIGHT)
def test_orientations_are_those_of_the_reference(seed):
    eight = pdq.bits(pdq.orientations(pdq.coefficients(pdq.grid(pdq.luma(generated(seed))))))
    assert len(EIGHT[seed]) == len(pdq.ORIENTATIONS) == len(eight)
    for mine, text in zip(eight, EIGHT[seed], strict=True):
        assert differing(mine, hashed(text)) <= 4


def test_orientations_are_the_hashes_of_turned_grids():
    grid = pdq.grid(pdq.luma(generated(2)))
    turned = [grid, np.rot90(grid), np.rot90(grid, 2), np.rot90(grid, 3), grid[::-1], grid[:, ::-1], grid.T]
    turned.append(np.rot90(grid, 2).T)
    mine = pdq.bits(pdq.orientations(pdq.coefficients(grid)))
    theirs = pdq.bits(pdq.coefficients(np.stack(turned)))
    assert [differing(*pair) for pair in zip(mine, theirs, strict=True)] == pytest.approx([0] * 8, abs=2)
    assert len({each.tobytes() for each in theirs}) == 8


def test_many_pictures_at_once_are_each_alone():
    grids = np.stack([pdq.grid(pdq.luma(generated(seed))) for seed in range(5)])
    together = pdq.bits(pdq.coefficients(grids))
    assert (together == [pdq.bits(pdq.coefficients(grid)) for grid in grids]).all()
    assert pdq.quality(grids).tolist() == [int(pdq.quality(grid)) for grid in grids]
    assert pdq.orientations(pdq.coefficients(grids)).shape == (5, 8, 16, 16)


def test_coefficients_of_whole_numbers_are_exact():
    grids = np.random.default_rng(0).integers(0, 256, (3, 64, 64))
    frequency, place = np.arange(1, 17)[:, None], np.arange(64)
    wave = np.rint(np.cos(np.pi / 128 * frequency * (2 * place + 1)) * 2**16).astype(np.int64)
    exact = np.einsum("ij,njk,lk->nil", wave, grids, wave)
    assert (pdq.coefficients(grids.astype(np.float32)) == exact).all()
    assert 255 * np.abs(wave).sum(1).max() ** 2 < 2**53


def test_half_of_the_bits_are_set():
    assert (
        np.bitwise_count(pdq.bits(np.random.default_rng(0).normal(size=(3, 16, 16)))).sum(1).tolist()
        == [128] * 3
    )


def test_a_picture_of_one_colour_has_no_quality():
    assert int(pdq.quality(pdq.grid(np.full((90, 80), 200, np.uint8)))) == 0
