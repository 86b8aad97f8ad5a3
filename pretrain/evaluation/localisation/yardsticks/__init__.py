"""Boxes from the pixels alone: without a text and without training. What a model adds is measured against them."""
