"""Two gloo ranks train three steps, write a checkpoint and end: both exit with 0, every time.

Most ranks are forked from a server that has imported torch, DeepSpeed and the training code, and has made no process
group. A forked rank ends as a process of its own does, through the interpreter's finalisation; only what the server
had imported is kept from the garbage collector, whose passes over it would copy the server's memory into each rank.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import MODEL, sixteen_pairs

RANK = f"""
import faulthandler, gc, os, signal, sys
from contextlib import closing
from pathlib import Path

import torch
torch.set_num_threads(1)
from pretrain.ranks import process_group
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.engines.deepspeed import DeepSpeedEngine
from pretrain.training.loop import train
from pretrain.training.setup import build_module, build_reader, prepare_run, write_run_config
import torch.utils.tensorboard

RECIPE = dict(
    model={MODEL!r}, data=dict(batch_size=4, decode_threads=2),
    schedule=dict(steps=3, log_every=1), engine=dict(precision="fp32"), workers=dict(count=2),
)

def one_rank(rank, data, folder):
    faulthandler.register(signal.SIGALRM, chain=True)  # a rank that hangs prints its stacks and is killed
    signal.alarm(120)
    with process_group(Path(folder + ".store"), rank, 2):
        run = prepare_run(DualEncoderConfig.model_validate(RECIPE), data, folder)
        if rank == 0:
            write_run_config(run)
        torch.distributed.barrier()
        with closing(DeepSpeedEngine(build_module(run.config), run.config)) as engine:
            train(engine, build_reader(run, rank, 2), run, lambda metrics: None)
"""
ALONE = RANK + "one_rank(int(sys.argv[1]), sys.argv[2], sys.argv[3])\n"
SERVER = (
    RANK
    + """
assert not torch.distributed.is_initialized()
threads = {open(f"/proc/self/task/{thread}/comm").read().strip() for thread in os.listdir("/proc/self/task")}
# Arrow's allocator has a thread of its own and prepares for forks; any other would be lost in the ranks.
assert threads <= {"python", "jemalloc_bg_thd"}, threads
gc.collect()
gc.freeze()
failed = []
for number in range(int(sys.argv[1])):
    ranks = []
    for rank in range(2):
        process = os.fork()
        if process == 0:
            one_rank(rank, sys.argv[2], f"{sys.argv[3]}/run-{number}")
            sys.exit()
        ranks.append(process)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in ranks]
    if codes != [0, 0]:
        failed.append(f"run {number}: {codes}")
if failed:
    sys.exit(f"{len(failed)} of {sys.argv[1]} pairs of ranks ended otherwise than with 0: " + ", ".join(failed))
"""
)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
ENVIRONMENT |= {"PYTHONFAULTHANDLER": "1", "DS_ACCELERATOR": "cpu"}

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]  # beside other work a pair takes 10 s, else one


def started(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )


def checkpoints(folder: Path) -> int:
    return len(list(folder.glob("run-*/checkpoints/step-00000003/model.safetensors")))


def test_forked_ranks_end_cleanly(repetitions, tmp_path):
    count = repetitions(200)
    (tmp_path / "data").mkdir()
    server = started(SERVER, str(count), sixteen_pairs(tmp_path / "data"), str(tmp_path))
    _, errors = server.communicate()
    assert server.returncode == 0, errors[-4000:]
    assert "terminate called" not in errors
    assert checkpoints(tmp_path) == count


def test_ranks_started_one_by_one_end_cleanly(repetitions, tmp_path):
    (tmp_path / "data").mkdir()
    data, count = sixteen_pairs(tmp_path / "data"), repetitions(10)
    for number in range(count):
        ranks = [started(ALONE, str(rank), data, str(tmp_path / f"run-{number}")) for rank in range(2)]
        errors = [rank.communicate()[1] for rank in ranks]
        assert [rank.returncode for rank in ranks] == [0, 0], errors
        assert not any("terminate called" in text for text in errors)
    assert checkpoints(tmp_path) == count
