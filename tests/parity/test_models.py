#!/usr/bin/env python3
"""Models beside `transformers`: what we export it loads, what it saves we import; the same ids, logits and gradients.

    python3 tests/parity/test_models.py RETORT GRADIENT_DUMP SOURCE_FOLDER

Shapes are drawn with random weights and saved by transformers (grouped heads, heads that are not width / heads, other epsilon, rotary
base, softcap and vocabulary, one and several files, bfloat16, float16, an output tied to the embedding), imported, computed and exported again; and a small chat model is trained
and exported. In float32, with the same epsilon and rotary tables in float32: logits to 1e-4, gradients to 1e-3 of the largest
of their tensor and 1e-3 in norm. Status 77 where a peer is missing.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.update(TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1", OMP_NUM_THREADS=os.environ.get("OMP_NUM_THREADS", "2"))
try:
    import h5py
    import numpy
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer, NanoChatConfig, NanoChatForCausalLM
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

RETORT, DUMP, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
transformers.utils.logging.disable_progress_bar()
LOGITS, GRADIENT = 1e-4, 1e-3
RECIPE = """
retort: 1
name: parity
nanochat: 2025
stages:
  theirs: {kind: import, file: %s}
"""
NAMES = {"self_attn.q_proj": "attn.c_q", "self_attn.k_proj": "attn.c_k", "self_attn.v_proj": "attn.c_v",
         "self_attn.o_proj": "attn.c_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}

SHAPES = [
    dict(hidden_size=64, num_attention_heads=2, num_key_value_heads=2, intermediate_size=256, num_hidden_layers=2),
    dict(hidden_size=96, num_attention_heads=6, num_key_value_heads=2, intermediate_size=200, num_hidden_layers=3, rms_norm_eps=2**-23),
    dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=1, head_dim=24, intermediate_size=96, num_hidden_layers=2,
         rope_parameters={"rope_type": "default", "rope_theta": 100000.0}, rms_norm_eps=1e-5),
    dict(hidden_size=128, num_attention_heads=1, num_key_value_heads=1, intermediate_size=512, num_hidden_layers=1,
         final_logit_softcapping=None, max_position_embeddings=300),
    dict(hidden_size=32, num_attention_heads=4, num_key_value_heads=4, head_dim=2, intermediate_size=17, num_hidden_layers=4, vocab_size=448,
         final_logit_softcapping=30.0),
]


def call(*args, text=None, status=0):
    done = subprocess.run(list(map(str, args)), input=text, capture_output=True, text=True)
    assert done.returncode == status, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def our_name(name):
    name = name.removesuffix(".weight")
    if name == "model.embed_tokens":
        return "transformer.wte"
    if name == "lm_head":
        return name
    _, _, layer, *rest = name.split(".")
    return f"transformer.h.{layer}.{NAMES['.'.join(rest)]}"


class Place:
    def __init__(self, folder):
        self.folder, self.results = pathlib.Path(folder), pathlib.Path(folder) / "results"

    def retort(self, *args, **more):
        return call(RETORT, *args, "--results", self.results, **more)

    def model_file(self, kind):
        return max((p for p in self.results.glob(f"store/{kind}-*.h5")), key=lambda p: p.stat().st_mtime_ns)


def compare_logits(place, model, name, worst, n_vocab):
    """Logits by the command beside those of transformers, of ids with targets, that are left in ids.h5."""
    T, B = min(96, model.config.max_position_embeddings), 3
    rng = numpy.random.default_rng(5)
    ids = rng.integers(0, n_vocab, (B, T), dtype=numpy.int32)
    targets = rng.integers(0, n_vocab, (B, T), dtype=numpy.int32)
    targets[:, ::7] = -1
    with h5py.File(place.folder / "ids.h5", "w") as file:
        file["ids"] = ids
        file["inputs"] = ids
        file["targets"] = targets.astype("i8")
    out = place.folder / "logits.h5"
    out.unlink(missing_ok=True)
    place.retort("logits", name, "--file", place.folder / "ids.h5", "--out", out)
    theirs = model(torch.from_numpy(ids).long()).logits[:, :, :n_vocab]
    with h5py.File(out) as file:
        ours = file["logits"][:]
        assert (file["ids"][:] == ids).all() and ours.dtype == numpy.float32
    difference = float(numpy.abs(ours - theirs.detach().numpy()).max())
    worst["logits"] = max(worst["logits"], difference)
    assert difference < LOGITS, f"logits of {name}: {difference}"
    return theirs, targets


def compare(place, model, name, path, worst, n_vocab):
    """Logits, and gradients by the dumper, beside the model of transformers."""
    theirs, targets = compare_logits(place, model, name, worst, n_vocab)
    gradients = place.folder / "gradients.h5"
    loss = torch.nn.functional.cross_entropy(theirs.reshape(targets.size, -1), torch.from_numpy(targets).long().reshape(-1), ignore_index=-1)
    model.zero_grad()
    loss.backward()
    call(DUMP, path, place.folder / "ids.h5", gradients)
    with h5py.File(gradients) as file:
        mean = file["losses"][:].sum() / (targets >= 0).sum()
        assert abs(mean - loss.item()) < 1e-4, f"loss of {name}: {mean} beside {loss.item()}"
        for tensor, parameter in model.named_parameters():
            theirs = parameter.grad.numpy()
            ours = file["gradients/" + our_name(tensor)][:]
            largest, norm = numpy.abs(theirs).max(), numpy.linalg.norm(theirs)
            off = max(float(numpy.abs(ours - theirs).max() / largest) if largest else float(numpy.abs(ours).max()),
                      float(numpy.linalg.norm(ours - theirs) / norm) if norm else float(numpy.abs(ours).max()))
            worst["gradients"] = max(worst["gradients"], off)
            assert off < GRADIENT, f"gradient of {tensor} of {name}: {off}"


def tied(place, tokenizer, worst):
    """The output is the embedding: there is no lm_head in the file, and there is one here."""
    config = NanoChatConfig(**{"vocab_size": 1000, "max_position_embeddings": 64, "tie_word_embeddings": True, **SHAPES[0]})
    torch.manual_seed(9)
    model, folder = NanoChatForCausalLM(config), place.folder / "tied"
    model.half().save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((tokenizer / "tokenizer.json").read_bytes())
    (place.folder / "parity.yaml").write_text(RECIPE % folder)
    place.retort("run", place.folder / "parity.yaml")
    place.retort("export", "parity:theirs", "--to", "hf", place.folder / "untied")
    again = AutoModelForCausalLM.from_pretrained(place.folder / "untied")
    assert not again.config.tie_word_embeddings and again.lm_head.weight is not again.model.embed_tokens.weight
    model = NanoChatForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert torch.equal(again.lm_head.weight, model.model.embed_tokens.weight)
    with torch.no_grad():
        compare_logits(place, model, "parity:theirs", worst, 400)


def from_transformers(place, tokenizer, worst):
    for i, shape in enumerate(SHAPES):
        torch.manual_seed(i)
        config = NanoChatConfig(**{"vocab_size": 400, "max_position_embeddings": 128, "bos_token_id": 391, "eos_token_id": 395,
                                   "pad_token_id": None, **shape})
        model = NanoChatForCausalLM(config)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(0, 1.5 / parameter.shape[1] ** 0.5)
        folder = place.folder / f"saved{i}"
        if i == 1:  # its tables are float32 again in the model that is compared
            model.bfloat16()
        model.save_pretrained(folder, **({"max_shard_size": "60KB"} if i % 2 == 0 else {}))
        if i == 1:
            halves, model = model.state_dict(), NanoChatForCausalLM(config)
            model.load_state_dict({name: value.float() for name, value in halves.items()})
        assert (folder / "model.safetensors.index.json").exists() == (i % 2 == 0)
        (folder / "tokenizer.json").write_bytes((tokenizer / "tokenizer.json").read_bytes())
        (place.folder / "parity.yaml").write_text(RECIPE % folder)
        place.retort("run", place.folder / "parity.yaml")
        path = place.model_file("import")
        compare(place, model, "parity:theirs", path, worst, 400)
        with h5py.File(path) as file:
            for name, parameter in model.named_parameters():
                assert file["model/" + our_name(name)][:].tobytes() == parameter.detach().numpy().tobytes(), name
        # Out again, and into transformers: every number the same.
        place.retort("export", "parity:theirs", "--to", "hf", place.folder / f"again{i}")
        again = AutoModelForCausalLM.from_pretrained(place.folder / f"again{i}")
        assert isinstance(again, NanoChatForCausalLM) and again.dtype == torch.float32
        for name, parameter in again.named_parameters():
            assert torch.equal(parameter, model.get_parameter(name)), name
        for key in ("rms_norm_eps", "hidden_size", "num_key_value_heads", "max_position_embeddings", "vocab_size",
                    "final_logit_softcapping", "intermediate_size"):
            assert getattr(again.config, key) == getattr(config, key), key
        ids = torch.arange(30).reshape(2, 15) * 13 % 400
        assert torch.equal(again(ids).logits, model(ids).logits), f"logits of shape {i} after the way out and in"


CONVERSATIONS = [
    [{"role": "user", "content": "hi"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": " Who has a kite?\n"}],
    [{"role": "user", "content": "What is 2+3?"},
     {"role": "assistant", "content": [{"type": "text", "text": "2+3 = "}, {"type": "python", "text": "2+3"},
                                       {"type": "python_output", "text": "5"}, {"type": "text", "text": "5, that is."}]},
     {"role": "user", "content": "Thank you, 中文 \u3000 and   blanks \n\n"}, {"role": "assistant", "content": "You are welcome."},
     {"role": "user", "content": ""}],
]


def our_rendering(place, messages):
    """By the format alone: each part encoded by itself between its special tokens."""
    names = ["bos", "user_start", "user_end", "assistant_start", "assistant_end", "python_start", "python_end", "output_start", "output_end"]
    special = {name: 391 + i for i, name in enumerate(names)}

    def text(t):
        return list(map(int, place.retort("encode", "talk:mid", "--ids", text=t).split())) if t else []

    ids, system = [special["bos"]], ""
    for message in messages:
        if message["role"] == "system":
            system = message["content"] + "\n\n"
            continue
        ids.append(special[message["role"] + "_start"])
        if message["role"] == "user":
            ids += text(system + message["content"])
            system = ""
        else:
            parts = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
            for part in parts:
                border = {"python": "python", "python_output": "output"}.get(part["type"])
                ids += ([special[border + "_start"]] if border else []) + text(part["text"]) + ([special[border + "_end"]] if border else [])
        ids.append(special[message["role"] + "_end"])
    return ids + [special["assistant_start"]]


def trained(place, worst):
    recipe = SOURCE / "tests/e2e/chat.yaml"
    place.retort("run", recipe, "--until", "mid")
    for stage, kind in (("base", "pretrain"), ("mid", "finetune")):
        folder = place.folder / stage
        place.retort("export", f"talk:{stage}", "--to", "hf", folder)
        model = AutoModelForCausalLM.from_pretrained(folder)
        assert model.config.pad_token_id is None and model.config.bos_token_id == 391
        compare(place, model, f"talk:{stage}", place.model_file(kind), worst, 400)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in ("Ada has 3 kites.", " a\n\n  b\tc 中文 🙂 it's 1234567", ""):
        ours = list(map(int, place.retort("encode", "talk:mid", "--ids", text=text).split()))
        assert tokenizer(text)["input_ids"] == ours, text
    for messages in CONVERSATIONS:
        ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True)["input_ids"]
        assert ids == our_rendering(place, messages), messages
        whole = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
        assert whole == ids[:-1]
    for bad in ([], [{"role": "assistant", "content": "x"}], [{"role": "system", "content": "x"}],
                [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]):
        try:
            tokenizer.apply_chat_template(bad, tokenize=False)
        except Exception:
            continue
        raise AssertionError(f"{bad} was rendered")
    # Greedy answers are the same tokens until the end of the turn.
    ids = tokenizer.apply_chat_template(CONVERSATIONS[0], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    out = model.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids["input_ids"].shape[1]:]
    answer = json.loads(place.retort("chat", "talk:mid", "-p", "hi", "-t", "0", "-m", "24", "--json"))["answer"]
    theirs = tokenizer.decode([t for t in out.tolist() if t < 391])
    assert answer.strip() == theirs.strip() or "=" in answer, (answer, theirs)  # a calculation is written by us
    return folder


def main():
    worst = {"logits": 0.0, "gradients": 0.0}
    with tempfile.TemporaryDirectory(prefix="retort-models-") as name:
        place = Place(name)
        tokenizer = trained(place, worst)
        from_transformers(place, tokenizer, worst)
        tied(place, tokenizer, worst)
    print(f"models: {len(SHAPES)} shapes of transformers {transformers.__version__} in and out bit for bit, 2 trained models out; "
          f"logits within {worst['logits']:.1e}, gradients within {worst['gradients']:.1e} of the largest")


main()
