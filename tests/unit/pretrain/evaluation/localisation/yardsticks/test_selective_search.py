import numpy as np
import pytest

from pretrain.evaluation.localisation.yardsticks.selective_search import group


def touching(one, other):
    """Whether two masks share a side of a pixel."""
    return any(
        (one[place] & other[moved]).any() or (other[place] & one[moved]).any()
        for place, moved in (
            ((slice(None), slice(1, None)), (slice(None), slice(-1))),
            ((slice(1, None),), (slice(-1),)),
        )
    )


def box_of(mask):
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def similarity(image, one, other):
    """Of section 3.2 of the paper, each part from the pixels."""

    def histogram(mask):
        found = [np.histogram(image[mask][:, channel], 25, (0, 1))[0] for channel in range(3)]
        return np.concatenate(found) / (3 * mask.sum())

    left, top, right, bottom = box_of(one | other)
    size = one.sum() + other.sum()
    filled = 1 - ((right - left) * (bottom - top) - size) / one.size
    return np.minimum(histogram(one), histogram(other)).sum() + 1 - size / one.size + filled


def grouped_by_trying_all(image, segments):
    """Boxes of all regions: in each step the similarity of every two that touch, from their pixels."""
    masks = [segments == number for number in range(segments.max() + 1)]
    boxes = [box_of(mask) for mask in masks]
    while len(masks) > 1:
        pairs = [
            (similarity(image, masks[one], masks[other]), one, other)
            for other in range(len(masks))
            for one in range(other)
            if touching(masks[one], masks[other])
        ]
        _, one, other = max(pairs)
        union = masks[one] | masks[other]
        masks = [mask for place, mask in enumerate(masks) if place not in (one, other)] + [union]
        boxes.append(box_of(union))
    return boxes


@pytest.mark.parametrize("seed", range(5))
def test_the_most_similar_neighbours_are_joined_until_one_is_left(seed):
    generator = np.random.default_rng(seed)
    image = generator.random((12, 14, 3)) ** generator.uniform(0.2, 3, (12, 14, 1))
    seeds = generator.random((9, 2)) * (12, 14)
    places = np.stack(np.indices((12, 14)), -1)
    segments = np.linalg.norm(places[:, :, None] - seeds, axis=-1).argmin(-1)  # cells around nine points
    segments = np.unique(segments, return_inverse=True)[1].reshape(12, 14)
    assert group(image, segments).tolist() == grouped_by_trying_all(image, segments)


def test_an_object_of_two_parts_is_joined_before_the_background():
    image = np.full((20, 20, 3), 0.9)
    image[5:10, 4:12], image[10:14, 6:10] = (0.8, 0.1, 0.1), (0.82, 0.12, 0.12)
    segments = np.zeros((20, 20), int)
    segments[5:10, 4:12], segments[10:14, 6:10] = 1, 2
    assert group(image, segments).tolist() == [
        [0, 0, 20, 20],
        [4, 5, 12, 10],
        [6, 10, 10, 14],
        [4, 5, 12, 14],
        [0, 0, 20, 20],
    ]


def test_one_segment_is_one_region():
    assert group(np.ones((3, 4, 3)), np.zeros((3, 4), int)).tolist() == [[0, 0, 4, 3]]
