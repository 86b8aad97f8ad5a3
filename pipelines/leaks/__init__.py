"""The leak index: hashes of pictures and captions that training must not see, such as those of evaluation sets."""
