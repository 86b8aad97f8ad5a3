"""The meter: which step is the slowest, and which time counts as part of it."""

import time

import pytest
import torch

from pretrain.training.metrics import Meter

CPU = torch.device("cpu")


def test_the_slowest_step_is_the_one_that_took_longest():
    meter = Meter()
    began = time.perf_counter()
    for pause in (0.01, 0.08, 0.01):
        time.sleep(pause)
        meter.record({"loss": 1.0}, images=2, waited=0.0)
    metrics = meter.read(CPU)
    elapsed = time.perf_counter() - began
    assert 0.08 <= metrics["train/slowest_step_seconds"] <= elapsed - 0.02
    assert metrics["train/step_seconds"] == pytest.approx(elapsed / 3, rel=0.1)


def test_waiting_before_read_counts_as_part_of_the_last_step():
    meter = Meter()
    meter.record({}, images=1, waited=0.0)
    meter.record({}, images=1, waited=0.0)
    time.sleep(0.05)  # stands for a device that is still working
    metrics = meter.read(CPU)
    assert metrics["train/slowest_step_seconds"] >= 0.05
    assert metrics["train/slowest_step_seconds"] >= metrics["train/step_seconds"]


def test_each_read_has_its_own_slowest_step_and_none_without_steps():
    meter = Meter()
    time.sleep(0.05)
    meter.record({}, images=1, waited=0.0)
    first = meter.read(CPU)
    meter.record({}, images=1, waited=0.0)
    second = meter.read(CPU)
    assert first["train/slowest_step_seconds"] >= 0.05 > second["train/slowest_step_seconds"]
    assert "train/slowest_step_seconds" not in meter.read(CPU)
