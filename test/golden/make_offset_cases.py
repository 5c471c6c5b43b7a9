"""Writes offset_cases.json: which characters each token stands for in difficult texts, as Python's `tokenizers` says.

    python make_offset_cases.py           (in this folder, after make_token_cases.py)

The tokenizers are those of make_token_cases.py, as they are and with parts changed. Offsets are UTF-16 code units, as
JavaScript counts.
"""

import json
import random

import tokenizers

from make_offset_hashes import utf16_offsets
from make_token_cases import TEXTS, noise

MORE = [
    "cafe\u0301s and caf\u00e9s, cafe\u0301",
    "a\u0323\u0302b \u1ead \u1eb7\u0323 q\u0307\u0323r\u0323\u0307s",
    "\u0130I\u0307i\u0131 \u1e9e\u00df \u01c4\u01c5\u01c6",
    "\u0344 \u0f73x \u0f71\u0f72",
    "\uac01\u1100\u1161\u11a8 \uac00\u11a8",
    "\U0001d15e\U0001d165\U0001d16d \U0001d16d\U0001d165 musical",
    "a\u1b44\u302eb a\u302e\u1b44b",
    "\u4e2d\u6587word\u6f22 \uf900 \U0002f800x\U00020000",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467x\U0001f3fd \U0001f1eb\U0001f1f7",
    "\U0001d400\U0001d401 bold \U00010400\U00010428 \U0001f600a\u0301",
    "\u200bzero\u200b \u200b\ufeffa\u2060b\u00adc\u200d",
    "\u0000a\u0001\u0002b\u0007 \ufffd c\ufffdd\t\u0085\u2028e",
    "  leading and trailing  ",
    "\u00a0nbsp\u00a0\u3000wide\u3000",
    "x" * 99 + " " + "y" * 100 + "." + "z" * 101 + "!",
    "\U0001d400" * 100 + "a " + "\U0001d400" * 101,
    "e\u0301" * 100 + " " + "\u00e9" * 101,
    "unknownable zzzqqq \u2603 \u2603snow",
    "it's they're I'll 'quoted' don't",
    "[MASK] a[MASK]b  [SEP][CLS] \u00e9[MASK]\u00e9",
    "a <mask> b  <mask><mask>  c<mask>",
    "   <mask>x",
    "Fox  fox FOX Fo\u0301x \u4e2dfox",
    "\u1ae1\u1b5d\u1b10\u1bb9\u1c15\u1b6d\u1ac3 newer marks that sort",
    "\n\nline\r\nline\ttab",
]

BERT = json.load(open("tokenizer_bert.json"))
ROBERTA = json.load(open("tokenizer_roberta.json"))


def normalizer(**options):
    return {"normalizer": {**BERT["normalizer"], **options}}


def added(content, **options):
    token = dict(id=1000, content=content, single_word=False, lstrip=False, rstrip=False, normalized=True, special=False)
    return {"added_tokens": [*BERT["added_tokens"], {**token, **options}]}


def byte_level(**options):
    return {"pre_tokenizer": {**ROBERTA["pre_tokenizer"], **options}}


def roberta_end(**options):
    return {"post_processor": {**ROBERTA["post_processor"], **options}}


BYTE_LEVEL_END = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}

# File, and the parts of it that are changed.
VARIANTS = [
    ("tokenizer_bert.json", {}),
    ("tokenizer_bert.json", normalizer(strip_accents=False)),
    ("tokenizer_bert.json", normalizer(lowercase=False)),
    ("tokenizer_bert.json", normalizer(lowercase=False, strip_accents=True, handle_chinese_chars=False)),
    ("tokenizer_bert.json", normalizer(clean_text=False)),
    ("tokenizer_bert.json", {"normalizer": None}),
    ("tokenizer_bert.json", added("Fox")),
    ("tokenizer_bert.json", added("Fox", normalized=False, lstrip=True, rstrip=True)),
    ("tokenizer_roberta.json", {}),
    ("tokenizer_roberta.json", {**byte_level(add_prefix_space=True), **roberta_end(add_prefix_space=True)}),
    ("tokenizer_roberta.json", roberta_end(trim_offsets=False)),
    ("tokenizer_roberta.json", {**byte_level(use_regex=False), "post_processor": BYTE_LEVEL_END}),
]


def ranges(tokenizer, text):
    """Start and end of every token, one behind the other."""
    _, starts, ends = utf16_offsets(text, tokenizer.encode(text, add_special_tokens=False))
    return [end for pair in zip(starts, ends) for end in pair]


def main():
    generator = random.Random(1)
    texts = TEXTS + MORE + [noise(generator) for _ in range(30)]
    variants = []
    for file, change in VARIANTS:
        whole = {**(BERT if file == "tokenizer_bert.json" else ROBERTA), **change}
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(whole))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        head = json.dumps({"file": file, "change": change})[:-1]
        rows = [json.dumps(ranges(tokenizer, text), separators=(",", ":")) for text in texts]
        variants.append(head + ', "ranges": [\n' + ",\n".join(rows) + "\n]}")
    with open("offset_cases.json", "w") as file:
        shown = ",\n".join(json.dumps(text) for text in texts)
        file.write(f'{{"tokenizers": "{tokenizers.__version__}", "texts": [\n{shown}\n], "variants": [\n')
        file.write(",\n".join(variants) + "]}\n")


if __name__ == "__main__":
    main()
