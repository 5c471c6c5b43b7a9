"""Writes tokenizer_bert.json, tokenizer_roberta.json and token_cases.json: two tiny tokenizers, and what Python's
`tokenizers` makes of difficult texts with them.

    python make_token_cases.py            (in this folder)
"""

import json
import random

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The quick brown fox jumps over the lazy dog.",
    "Adapters add a few parameters per task; the backbone never changes.",
    "naïve café résumé über straße ΑΒΓ αβγ ОНА она",
    "日本語 中文 한국어 ไทย हिन्दी",
    "12345 3.14 don't can't #hashtag @user http://example.com/a?b=c",
]

TEXTS = [
    "",
    " ",
    "\t\n\r",
    "a",
    "The quick brown fox.",
    "Hello,world!  two  spaces",
    "naïve CAFÉ Ünïcode ŁÓDŹ İstanbul ıssız",
    "ΟΔΥΣΣΕΥΣ ΣΑΣ ς σ",
    "日本語とEnglish混在、句読点。",
    "\U00020000\U0002a6d6\U0002b830\U00030000 rare ideographs",
    "한국어 텍스트 각각",
    "हिन्दी ไทย العربيّة עִבְרִית",
    "zero\u200bwidth\u200djoin \ufeffbom soft\u00adhyphen",
    "nbsp\u00a0em\u2003line\u2028para\u2029nel\u0085end\u3000",
    "control\u0000\u0001\u001f\u007f\u009f\ufffd end",
    "\ue000private\U000f0000",
    "[CLS] in [SEP] text [MASK][UNK] [PAD] [sep] [ SEP ]",
    "<s> in </s> text <mask> x<mask>y <pad>",
    "w" * 100,
    "w" * 101,
    "x" * 250 + " tail",
    "emoji 😀😃 👩‍👩‍👧‍👦 flags 🇫🇷",
    "$100 + 5% = <tag> ~^`|",
    "„quotes“ «guillemets» – — … ‽",
    "\u0300leading e\u0301 combine\u0323\u0307",
    "\u2e43\u2e52\u0c77 newer punctuation",
    "\u1dfa\u0898\u1ac0 newer marks a\u1ac0b",
    "\U000105c9\U00011383 newer letters",
    "ﬁ ligature ① ² ½ Ⅷ",
    "\U00010400 Deseret 𝐁𝐨𝐥𝐝",
    "ẞ ß ŉ ǰ",
]

PAIRS = [("one text", "another text"), ("", ""), ("a", ""), ("", "b"), ("The quick brown fox jumps", "over the lazy dog " * 5), ("over the lazy dog " * 5, "café"), ("one two three four five six", "one two three four five six")]


def noise(generator):
    pools = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0x1AB0, 0x2BFF), (0x2E00, 0x30FF), (0xA600, 0xABFF), (0xFE00, 0xFFFC), (0x10000, 0x1F9FF), (0, 0xD7FF)]
    return "".join(chr(generator.randint(*generator.choice(pools))) for _ in range(generator.randint(1, 40)))


def bert():
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(CORPUS + ["w" * 30], trainers.WordPieceTrainer(vocab_size=260, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    # What a saved tokenizer may carry, and a reader must not obey.
    tokenizer.enable_padding(length=24)
    tokenizer.enable_truncation(24)
    return tokenizer


def roberta():
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return tokenizer


def cases(tokenizer):
    generator = random.Random(0)
    rows = [(text,) for text in TEXTS + [noise(generator) for _ in range(120)]]
    rows += PAIRS + [(noise(generator), noise(generator)) for _ in range(60)]
    result = []
    tokenizer.no_padding()
    for row in rows:
        limit = generator.choice([None, 3 + len(row), 8, 13, 20])
        if limit is None:
            tokenizer.no_truncation()
        else:
            tokenizer.enable_truncation(limit, strategy="longest_first")
        encoding = tokenizer.encode(*row)
        result.append({"texts": row, "maxLength": limit, "ids": encoding.ids, "types": encoding.type_ids})
    return result


def main():
    result = {"tokenizers": tokenizers.__version__}
    for name, tokenizer in (("bert", bert()), ("roberta", roberta())):
        tokenizer.save(f"tokenizer_{name}.json", pretty=False)
        result[name] = cases(tokenizer)
    with open("token_cases.json", "w") as file:
        rows = {name: "[\n" + ",\n".join(json.dumps(case) for case in list_) + "\n]" for name, list_ in result.items() if name != "tokenizers"}
        file.write(f'{{"tokenizers": {json.dumps(result["tokenizers"])},\n' + ",\n".join(f'"{name}": {text}' for name, text in rows.items()) + "}\n")


if __name__ == "__main__":
    main()
