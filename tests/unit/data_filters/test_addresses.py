"""Web addresses and file names, by hand."""

import time

import pytest

from data_filters.addresses import file_name_count, url_count


@pytest.mark.parametrize(
    ("caption", "urls", "files"),
    [
        ("", 0, 0),
        ("a red umbrella on a chair.", 0, 0),
        ("see www.example.com and http://x.y/z", 2, 0),
        ("photo by Example.COM", 1, 0),
        ("shop at example.co.uk/offers now", 1, 0),
        ("foo.community", 0, 0),
        ("The end.Then another", 0, 0),
        ("a 3.5 mm lens, e.g. in the U.S. army", 0, 0),
        ("IMG_1234.jpg", 0, 1),
        ("img 1234", 0, 1),
        ("DSC00012", 0, 1),
        ("PXL_20240101_120000", 0, 1),
        ("red-car.PNG and blue.jpeg", 0, 2),
        ("https://example.com/b.jpg", 1, 1),
        ("a .jpg file", 0, 0),
        ("photo.jpgx", 0, 0),
        ("IMG 12", 0, 0),
        ("DJI drone in 2024", 0, 0),
        ("bookIMG_1234", 0, 0),
    ],
)
def test_addresses_and_file_names(caption, urls, files):
    assert (url_count(caption), file_name_count(caption)) == (urls, files)


@pytest.mark.parametrize("part", ["IMG_123-", "www.", "http://", ".com.", "a.jpg", "co.", "DSC_1234", "."])
def test_a_caption_of_a_megabyte_costs_no_more_than_its_length(part):
    caption = part * (1_000_000 // len(part))
    start = time.process_time()
    url_count(caption)
    file_name_count(caption)
    assert time.process_time() - start < 3
