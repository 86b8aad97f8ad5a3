"""What Ray Data is set to, and that it is set back."""

import logging

from ray.data.context import DataContext, ShuffleStrategy

from pipelines.curate.corpus.ray_settings import data_context


def test_the_exchange_goes_through_the_object_store_in_pieces_of_the_memory():
    before = DataContext.get_current()
    before.use_disk_based_hash_shuffle = True
    level = logging.getLogger("ray.data").level
    try:
        with data_context(80 << 20):
            inside = DataContext.get_current()
            assert inside.shuffle_strategy == ShuffleStrategy.SHUFFLE_V2
            assert not inside.use_disk_based_hash_shuffle
            assert inside.shuffle_input_batch_bytes == inside.target_max_block_size == 10 << 20
        assert DataContext.get_current() is before
        assert before.use_disk_based_hash_shuffle
        assert logging.getLogger("ray.data").level == level
    finally:
        before.use_disk_based_hash_shuffle = False
