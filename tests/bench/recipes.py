"""Train the objectives of every pretraining recipe for a few steps on the icon world, to see that each loss changes.

    python tests/bench/recipes.py --data CURATED --output DIR [--steps 60]

Each recipe keeps its objectives and its supervision; model, batch and engine are those of `icon_world`, since a Swin-L
is not for two cores. Leaves DIR/NAME/ (run folder) and DIR/NAME.html (its report with all loss curves), prints a table.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from cluster.recipes import load_recipe, shipped_recipes
from cluster.shipped import PRETRAINING
from pretrain.report.run_page import write_report
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics
from pretrain.training.setup import prepare_run


def small(name: str, steps: int) -> DualEncoderConfig:
    """The recipe's objectives on the icon world's model."""
    whole = load_recipe(DualEncoderConfig, PRETRAINING, name).model_dump()
    settings = load_recipe(DualEncoderConfig, PRETRAINING, "icon_world", ["workers.count=1"]).model_dump()
    settings |= {"name": name, "objectives": whole["objectives"], "supervision": whole["supervision"]}
    settings["supervision"] |= {"head_width": 64, "budget": 2, "evaluations": 24, "warmup_steps": steps // 3}
    settings["supervision"]["regions"] = min(settings["supervision"]["regions"], 16)
    if "phrase_attribution" in settings["objectives"]:
        settings["objectives"]["phrase_attribution"] |= {
            "first_step": steps // 3,
            "images": 2,
            "evaluations": 32,
        }
    settings["schedule"] |= {"steps": steps, "log_every": 2, "checkpoint_every": steps}
    return DualEncoderConfig.model_validate(settings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--steps", type=int, default=60)
    arguments = parser.parse_args()
    rows = []
    for name in shipped_recipes(PRETRAINING):
        run = arguments.output / name
        planned = prepare_run(small(name, arguments.steps), arguments.data, str(run))
        run_local(planned, lambda metrics: None)
        write_report(str(arguments.output / f"{name}.html"), run=str(run))
        lines = read_metrics(run)
        for loss in sorted({key for line in lines for key in line if key.endswith("_loss")}):
            values = [line[loss] for line in lines if loss in line]
            still = " **constant**" if len(set(values)) == 1 else ""
            rows.append(
                f"| {name} | {loss.removeprefix('train/')}{still} | {values[0]:.3f} | {values[-1]:.3f} |"
            )
        print(f"{name}: done", file=sys.stderr, flush=True)
    print("\n| recipe | loss | first | last |\n|---|---|--:|--:|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
