"""Records the sha256 of all token ids that Python's `tokenizers` gives for a folder of text data.

    python make_token_hashes.py DATA_FOLDER TOKENIZER_JSON > token_hashes.json

For every data file two hashes: rows cut to 128 tokens longest-first, and rows at their full length. The hashed bytes
of a row are little-endian int32 words: the number of tokens, the token ids, the token types. Rows are in file order;
TSV rows are the text columns, JSON Lines rows their "text", SQuAD rows the pair (question, paragraph).
"""

import gzip
import hashlib
import json
import pathlib
import struct
import sys

import tokenizers

MAX_LENGTH = 128


def lines(path):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.rstrip("\n")


def rows(path):
    name = path.name.removesuffix(".gz")
    if name.endswith(".tsv"):
        header, *body = lines(path)
        texts = [i for i, column in enumerate(header.split("\t")) if column != "label"]
        for line in body:
            fields = line.split("\t")
            yield tuple(fields[i] for i in texts)
    elif name.endswith(".jsonl"):
        for line in lines(path):
            yield (json.loads(line)["text"],)
    else:
        for article in json.loads("\n".join(lines(path)))["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield (question["question"], paragraph["context"])


def digest(tokenizer, path):
    sha = hashlib.sha256()
    count = 0
    batch = []

    def flush():
        for encoding in tokenizer.encode_batch(batch):
            words = [len(encoding.ids), *encoding.ids, *encoding.type_ids]
            sha.update(struct.pack(f"<{len(words)}i", *words))
        batch.clear()

    for row in rows(path):
        batch.append(row if len(row) > 1 else row[0])
        count += 1
        if len(batch) == 256:
            flush()
    flush()
    return sha.hexdigest(), count


def main():
    data, vocabulary = map(pathlib.Path, sys.argv[1:])
    tokenizer = tokenizers.Tokenizer.from_file(str(vocabulary))
    tokenizer.no_padding()
    files = {}
    for path in sorted(data.glob("*/*")):
        tokenizer.enable_truncation(MAX_LENGTH, strategy="longest_first")
        cut, count = digest(tokenizer, path)
        tokenizer.no_truncation()
        full, _ = digest(tokenizer, path)
        files[path.relative_to(data).as_posix()] = {"rows": count, "truncated": cut, "full": full}
        print(path, count, file=sys.stderr)
    result = {
        "tokenizers": tokenizers.__version__,
        "tokenizer": hashlib.sha256(vocabulary.read_bytes()).hexdigest(),
        "maxLength": MAX_LENGTH,
        "files": files,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
