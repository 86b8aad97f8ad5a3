import json

from pretrain.export.record import objective_options, read_record
from pretrain.objectives import OBJECTIVES


def test_a_record_is_read_and_a_foreign_folder_has_none(tmp_path):
    assert read_record(tmp_path) == {}
    (tmp_path / "export.json").write_text(json.dumps({"name": "x"}))
    assert read_record(str(tmp_path)) == {"name": "x"}


def test_options_are_those_recorded_else_the_objectives_own_defaults():
    config = {"objectives": {"fine_grained": {"scale": 7}, "late_interaction": {}, "of_the_future": {"a": 1}}}
    assert objective_options(config, "fine_grained")["scale"] == 7
    assert objective_options(config, "fine_grained")["weight"] == 1.0
    fields = OBJECTIVES["late_interaction"].options.model_fields
    late = objective_options(config, "late_interaction")
    assert late == {name: field.default for name, field in fields.items()}
    assert objective_options(config, "of_the_future") == {"a": 1}
