"""Records the sha256 of all token offsets that Python's `tokenizers` gives for some files of text data.

    python make_offset_hashes.py DATA_FOLDER TOKENIZER_JSON > offset_hashes.json

Every text counts alone, without special tokens: those of a row in the order of its columns; of SQuAD files each
paragraph, then its questions. The hashed bytes of a text are little-endian int32 words: the number of tokens, the token
ids, where each token starts, where each ends; in UTF-16 code units, as JavaScript counts.
"""

import hashlib
import json
import pathlib
import struct
import sys

import tokenizers

from make_token_hashes import lines, rows

# The span tasks, and two of short messages full of emoji.
FILES = ["squad_v1.1/dev.json.gz", "squadshifts_newwiki/train.json.gz", "goemotions/dev.jsonl", "airline/dev.tsv"]


def utf16_offsets(text, encoding):
    """Ids, starts and ends of an encoding whose offsets count code points."""
    units = [0]
    for character in text:
        units.append(units[-1] + (2 if ord(character) > 0xFFFF else 1))
    return encoding.ids, [units[start] for start, _ in encoding.offsets], [units[end] for _, end in encoding.offsets]


def texts(path):
    if ".json" not in path.suffixes:
        for row in rows(path):
            yield from row
        return
    for article in json.loads("\n".join(lines(path)))["data"]:
        for paragraph in article["paragraphs"]:
            yield paragraph["context"]
            for question in paragraph["qas"]:
                yield question["question"]


def digest(tokenizer, path):
    sha = hashlib.sha256()
    count = 0
    for text in texts(path):
        ids, starts, ends = utf16_offsets(text, tokenizer.encode(text, add_special_tokens=False))
        words = [len(ids), *ids, *starts, *ends]
        sha.update(struct.pack(f"<{len(words)}i", *words))
        count += 1
    return {"texts": count, "sha256": sha.hexdigest()}


def main():
    data, vocabulary = map(pathlib.Path, sys.argv[1:])
    tokenizer = tokenizers.Tokenizer.from_file(str(vocabulary))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    files = {file: digest(tokenizer, data / file) for file in FILES}
    result = {
        "tokenizers": tokenizers.__version__,
        "tokenizer": hashlib.sha256(vocabulary.read_bytes()).hexdigest(),
        "files": files,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
