"""Trains the shipped English pipeline: takes a treebank, gives a spaCy pipeline. Not needed at run time."""
