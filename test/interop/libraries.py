"""Runs the real Python libraries for tests: reads a list of jobs as JSON from standard input, writes their results.

A job names a `model` (a folder of transformers), token `ids` of rows, and what to do:
  adapterhub-load   load_adapter(path) of `adapters`                              -> logits of each row
  adapterhub-save   a random adapter of `config`, a head of `head`, saved to path -> logits of each row
  peft-load         PeftModel.from_pretrained(path) around the class `auto`       -> logits of each row
  peft-save         LayerNorm tuning with a random head, saved to path            -> logits of each row
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402


def logits(model, rows, types):
    model.eval()
    found = []
    with torch.no_grad():
        for row in rows:
            inputs = {"input_ids": torch.tensor([row])}
            if types:
                inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
            output = model(**inputs)
            values = getattr(output, "logits", None)
            if values is None:
                values = torch.stack([output.start_logits, output.end_logits], -1)
            found.append(values.flatten().tolist())
    return found


def disturb(parameters):
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(torch.randn_like(parameter) * 0.2)


def adapterhub_load(job):
    from adapters import AutoAdapterModel

    model = AutoAdapterModel.from_pretrained(job["model"])
    for path in [job["path"], *job.get("more", [])]:
        model.load_adapter(path, **job.get("options", {}))
    name = job["name"]
    model.set_active_adapters(name)
    model.active_head = name
    return logits(model, job["ids"], job["types"])


def adapterhub_save(job):
    from adapters import AutoAdapterModel, BnConfig

    torch.manual_seed(0)
    model = AutoAdapterModel.from_pretrained(job["model"])
    name = job["name"]
    model.add_adapter(name, config=BnConfig(**job["config"]))
    head = dict(job["head"])
    getattr(model, head.pop("method"))(name, **head)
    model.set_active_adapters(name)
    own = (f".adapters.{name}.", f"heads.{name}.")
    disturb([p for n, p in model.named_parameters() if any(part in n for part in own)])
    model.save_adapter(job["path"], name, **job.get("options", {}))
    return logits(model, job["ids"], job["types"])


def auto_class(job):
    import transformers

    extra = {"num_labels": job["labels"]} if job["auto"] != "AutoModelForQuestionAnswering" else {}
    return getattr(transformers, job["auto"]).from_pretrained(job["model"], **extra)


def peft_load(job):
    from peft import PeftModel

    return logits(PeftModel.from_pretrained(auto_class(job), job["path"]), job["ids"], job["types"])


def peft_save(job):
    from peft import LNTuningConfig, get_peft_model

    torch.manual_seed(0)
    config = LNTuningConfig(**job["config"])
    model = get_peft_model(auto_class(job), config)
    disturb([p for p in model.parameters() if p.requires_grad])
    model.save_pretrained(job["path"])
    return logits(model, job["ids"], job["types"])


JOBS = {
    "adapterhub-load": adapterhub_load,
    "adapterhub-save": adapterhub_save,
    "peft-load": peft_load,
    "peft-save": peft_save,
}


def torch_file(job):
    """What torch.load makes of a file with weights_only."""
    return {name: value.tolist() for name, value in torch.load(job["path"], weights_only=True).items()}


JOBS["torch-load"] = torch_file

json.dump([JOBS[job["do"]](job) for job in json.load(sys.stdin)], sys.stdout)
