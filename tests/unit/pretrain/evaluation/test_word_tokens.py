import torch
from transformers import AutoModel, AutoTokenizer

from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.evaluation.word_tokens import word_tokens

CAPTIONS = ["a red dog", "the blue boat by a tree"]


def test_words_are_those_of_the_stock_model_caption_by_caption(export):
    words = word_tokens(TokenEncoder(export), CAPTIONS)
    model, tokenizer = AutoModel.from_pretrained(export).eval(), AutoTokenizer.from_pretrained(export)
    for row, caption in enumerate(CAPTIONS):
        read = tokenizer([caption], return_tensors="pt", return_offsets_mapping=True)
        offsets = read.pop("offset_mapping")[0][1:-1]
        with torch.no_grad():
            tokens = model.text_projection(model.text_model(**read).last_hidden_state)[0][1:-1]
        mask = words.mask[row]
        assert int(mask.sum()) == len(tokens)  # without [CLS], [SEP] and padding
        expected = tokens / tokens.norm(dim=1, keepdim=True)
        torch.testing.assert_close(words.tokens[row, mask], expected, atol=1e-5, rtol=0)
        assert words.offsets[row, mask].tolist() == offsets.tolist()
        assert [caption[slice(*span)] for span in offsets.tolist()] == caption.split()
