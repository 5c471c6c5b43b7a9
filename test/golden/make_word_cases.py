"""Writes word_cases.json: the tokens that Python's `tokenizers` gives each word of a text that is split already, with the
two tokenizers of make_token_cases.py.

    python make_word_cases.py             (in this folder)
"""

import json
import random

import tokenizers
from tokenizers import Tokenizer, pre_tokenizers

from make_token_cases import PAIRS, TEXTS, noise


def word_tokens(tokenizer, words):
    encoding = tokenizer.encode(words, is_pretokenized=True, add_special_tokens=False)
    tokens = [[] for _ in words]
    for token, word in zip(encoding.ids, encoding.word_ids):
        tokens[word].append(token)
    return tokens


def main():
    generator = random.Random(1)
    texts = TEXTS + [text for pair in PAIRS for text in pair] + [noise(generator) for _ in range(60)]
    words = [text.split(" ") for text in texts]
    words = [[word for word in row if word] for row in words]
    result = {"tokenizers": tokenizers.__version__, "words": [row for row in words if row]}
    for name in ("bert", "roberta"):
        tokenizer = Tokenizer.from_file(f"tokenizer_{name}.json")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if name == "roberta":
            # Split words are words in the middle of a text.
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        result[name] = [word_tokens(tokenizer, row) for row in result["words"]]
    with open("word_cases.json", "w") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
