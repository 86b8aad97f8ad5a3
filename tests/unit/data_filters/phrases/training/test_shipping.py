"""Shipping replaces the old pipeline, leaves the fine tagger out and names licence and source."""

import json

import spacy

from data_filters.phrases.training import shipping


def test_a_trained_pipeline_is_shipped(tmp_path, monkeypatch, capsys):
    nlp = spacy.blank("en")
    nlp.add_pipe("tagger").add_label("NN")
    nlp.add_pipe("morphologizer").add_label("POS=NOUN")
    nlp.initialize()
    nlp.to_disk(tmp_path / "trained")
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "stale").write_text("")
    monkeypatch.setattr(shipping, "DEFAULT_MODEL", shipped)
    shipping.main(tmp_path / "trained")
    assert spacy.load(shipped).pipe_names == ["morphologizer"]
    assert not (shipped / "stale").exists()
    meta = json.loads((shipped / "meta.json").read_text())
    assert (meta["name"], meta["license"]) == ("loupe_ewt", "CC BY-SA 4.0")
    assert meta["sources"][0]["url"].endswith("UD_English-EWT")
    assert str(shipped) in capsys.readouterr().out
