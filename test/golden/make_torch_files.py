"""Makes test/golden/torch/*.bin: small files of torch.save, in both of its layouts, for the tests of their reader.

    python3 test/golden/make_torch_files.py        (Python with torch)

Values are 0, 1, 2, ... row after row unless a name says otherwise, so that the tests need no other file.
"""

from pathlib import Path

import torch

FOLDER = Path(__file__).parent / "torch"


def tensors():
    a = torch.arange(12.0).reshape(3, 4)
    return {
        "a": a,
        "a.transposed": a.t(),
        "a.part": a[1:, ::2],
        "half": a.half(),
        "bfloat16": a.bfloat16(),
        "double": a.double(),
        "long": torch.arange(3),
        "int": torch.arange(3, dtype=torch.int32),
        "short": torch.arange(3, dtype=torch.int16),
        "char": -torch.arange(3, dtype=torch.int8),
        "byte": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.arange(4.0)),
    }


def main():
    FOLDER.mkdir(exist_ok=True)
    torch.save(tensors(), FOLDER / "zip.bin")
    torch.save(tensors(), FOLDER / "plain.bin", _use_new_zipfile_serialization=False)
    layer = torch.nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6.0).reshape(3, 2))
        layer.bias.copy_(torch.arange(3.0))
    torch.save(layer.state_dict(), FOLDER / "state_dict.bin")
    torch.save({"a": torch.arange(3.0), "note": "not a tensor"}, FOLDER / "text.bin")
    torch.save(layer, FOLDER / "module.bin")


if __name__ == "__main__":
    main()
