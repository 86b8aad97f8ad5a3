"""Text towers of every kind against their stock classes: embeddings, words that can be dropped, tokenizers that fit."""

import pytest
import torch
from published import TEXT_TOWERS, TOKENS, text_tower, tokenizer
from tiny_models import word_tokenizer
from torch.nn import functional as F
from transformers import AutoModel, CLIPTextConfig, RobertaConfig

from data_filters.errors import InputError
from pretrain.model_config import ModelConfig
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.text_kinds import TEXT_KINDS, check_tokenizer, text_kind

IMAGE = {"kind": "vit", "image_size": 16, "patch_size": 8, "width": 16, "depths": [1], "heads": [2]}


def test_every_kind_is_tested():
    assert set(TEXT_TOWERS) | {"siglip_text_model"} == set(TEXT_KINDS)  # a SigLIP's comes with the whole


@pytest.mark.parametrize("kind", TEXT_TOWERS)
def test_a_text_is_embedded_as_the_stock_tower_does_and_its_words_can_be_dropped(kind, tmp_path):
    folder = text_tower(tmp_path / "text", kind)
    torch.manual_seed(0)
    config = ModelConfig(image=IMAGE, text={"pretrained": folder}, projection_dim=8)
    model, stock = DualEncoder(config, vocabulary_size=31).eval(), AutoModel.from_pretrained(folder).eval()
    read = tokenizer(kind)(["picture the red dog 7", "blue"], padding=True, return_tensors="pt")
    ids, mask = read["input_ids"], read["attention_mask"]
    with torch.no_grad():
        output = stock(input_ids=ids, attention_mask=mask)
        text, words = model.encode_text(ids, mask)
        for found, expected in ((text, output.pooler_output), (words, output.last_hidden_state)):
            projected = F.normalize(expected @ model.text_projection.weight.T, dim=-1)
            torch.testing.assert_close(found, projected, atol=1e-6, rtol=0)
        keep = torch.ones(ids.shape)
        keep[:, 2] = 0
        other = ids.clone()
        other[0, 2] = 9
        torch.testing.assert_close(model.encode_text(ids, mask, keep), model.encode_text(other, mask, keep))
        assert (model.encode_text(ids, mask, keep)[0] - text).abs().max() > 1e-4


def test_positions_of_a_roberta_begin_after_its_padding():
    config = RobertaConfig(max_position_embeddings=514, pad_token_id=1)
    assert text_kind(config).most_tokens(config) == 512


def test_a_clip_of_the_time_when_the_end_was_the_highest_token_is_known_by_it():
    config = CLIPTextConfig(vocab_size=40, eos_token_id=2)
    ends_high = tokenizer("bert")
    ends_high.add_tokens("<end>")
    from tokenizers import processors

    specials = [("[BOS]", 1), ("<end>", len(ends_high) - 1)]
    ends_high.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[BOS] $A <end>", special_tokens=specials
    )
    check_tokenizer(config, ends_high, "field")
    with pytest.raises(
        InputError, match="tokenizer ends a text with token 2, field takes its embedding at token 16"
    ):
        check_tokenizer(config, word_tokenizer(TOKENS), "field")
