"""The shipped recipes of nanochat's tiers: what they plan is what was published, with and without their data; what is not built says so.

    test_tiers.py RETORT SAME_RESULT SOURCE_FOLDER
"""
from harness import *

DATA = SOURCE.parent / "shared/data"

# Of the specification of nanochat, October 2025: depth, parameters, updates of 524,288 tokens, FLOPs in all; shards; dollars.
TIERS = {
    "nano-100": (20, 560_988_160, 21_400, 3.917670e19, 240, 100),
    "nano-300": (26, 1_081_999_360, 41_275, 1.493363e20, 450, 300),
    "nano-1000": (32, 1_879_048_192, 71_680, 4.539628e20, 800, 1000),
    "one-24gb": (12, 185_597_952, 7_080, 3.85e18, 80, 10),
}


def recipe(name):
    return SOURCE / f"recipes/{name}.yaml"


class Tiers(Folder):
    def answer(self, name, *more):
        return json.loads(call("plan", recipe(name), "--json", *more, results=self.results, check=0).stdout)

    def test_plans_are_what_was_published(self):
        for name, (depth, params, steps, flops, shards, usd) in TIERS.items():
            with self.subTest(name):
                self.assertIn("fine, 19 stages", call("check", recipe(name), check=0).stdout)
                plan = self.answer(name)
                base = next(s for s in plan["stages"] if s["name"] == "base")
                self.assertEqual((base["params"], base["steps"], base["batch_tokens"], base["tokens"]),
                                 (params, steps, 524_288, steps * 524_288))
                self.assertAlmostEqual(base["flops"] / flops, 1, delta=1e-3 if depth == 12 else 1e-6)
                self.assertLess(plan["total"]["usd"], usd)
                # What needs a device fits into it, with the device_batch that the recipe gives.
                self.assertTrue(all("device_batch_fits" not in s for s in plan["stages"]), plan["stages"])
                self.assertLess(max(s["bytes_device"] or 0 for s in plan["stages"]), plan["hardware"]["bytes"])
                files = json.loads(call("data", recipe(name), "--list", "--json", results=self.results).stdout)["files"]
                of_web = [f for f in files if f["source"] == "web"]
                self.assertEqual(len(of_web), shards)
                self.assertTrue(all(f["url"].startswith("https://huggingface.co/datasets/karpathy/") for f in of_web))

    def test_rows_of_a_device(self):
        resolved = call("plan", recipe("nano-100"), "--resolved", results=self.results, check=0).stdout
        for stage in "base", "mid":
            self.assertRegex(resolved, rf"(?m)^\s*{stage}\.device_batch\s+32\b")

    def test_nothing_starts_without_what_is_not_there(self):
        for name in TIERS:
            plan = call("plan", recipe(name), results=self.results, check=0).stdout
            self.assertIn(f"`retort data {recipe(name)}` fetches them", plan)
            self.assertRegex(plan, r"! computing on [A-Z0-9-]+ is not built in this version")
            self.assertTrue(all(len(line) <= 80 for line in plan.splitlines() if "retort data" not in line), plan)
            done = call("run", recipe(name), results=self.results, check=4)
            self.assertRegex(done.stderr, r"error: computing on [A-Z0-9-]+ is not built in this version")
            self.assertRegex(done.stderr, rf"error: \d+ files that stage 'tokenizer' reads are not fetched")
        self.assertFalse(self.results.exists() and any(self.results.glob("store/*")))
        # On the processor it is the data alone that is not there.
        done = call("run", recipe("nano-100"), "-s", "hardware.device=cpu", results=self.results, check=3)
        self.assertNotIn("not built", done.stderr)

    def link(self, source, to):
        path = self.folder / "hub" / to
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(DATA / f"{source}.parquet")

    def test_a_folder_with_the_layout_of_the_hub_is_as_good(self):
        if not DATA.exists():
            self.skipTest(f"no {DATA}")
        for i in range(6):
            self.link(f"pretrain/shard_{i:05}", f"karpathy/fineweb-edu-100b-shuffle/resolve/main/shard_{i:05}.parquet")
        for i in range(4):  # splits of one task with different numbers of files
            self.link("smoltalk/train-00000-of-00001", f"HuggingFaceTB/smol-smoltalk/resolve/main/data/train-{i:05}-of-00004.parquet")
        one = "-00000-of-00001"
        for source, to in (("smoltalk/test", "HuggingFaceTB/smol-smoltalk/resolve/main/data/test"),
                           ("humaneval/test", "openai/openai_humaneval/resolve/main/openai_humaneval/test"),
                           ("mmlu/auxiliary_train", "cais/mmlu/resolve/main/all/auxiliary_train"),
                           ("mmlu/test", "cais/mmlu/resolve/main/all/test"),
                           *((f"{task}/{split}", f"{there}/{split}") for split in ("train", "test") for task, there in (
                               ("arc_easy", "allenai/ai2_arc/resolve/main/ARC-Easy"), ("gsm8k", "openai/gsm8k/resolve/main/main"),
                               ("arc_challenge", "allenai/ai2_arc/resolve/main/ARC-Challenge")))):
            self.link(source + one, to + one + ".parquet")
        there = ["-s", f"let.hub={self.folder}/hub", "-s", f"data={DATA}", "-s",
                 "sources.web.parquet=${hub}/karpathy/fineweb-edu-100b-shuffle/resolve/main/shard_{00000..00005}.parquet"]
        stages = {s["name"]: s for s in self.answer("nano-100", *there)["stages"]}
        self.assertEqual({s["state"] for s in stages.values()}, {"run"})
        self.assertEqual({m["task"]: m["rows"] for m in stages["mid"]["mixture"]}, {"smoltalk": 4 * 4090, "mmlu": 285, "gsm8k": 7473})
        self.assertEqual({m["task"]: m["rows"] for m in stages["sft"]["mixture"]},
                         {"arc_easy": 1425, "arc_challenge": 703, "gsm8k": 7473, "smoltalk": 10_000})

        # And small enough all of it runs.
        small = ["hardware.device=cpu", "tokenizer.vocab=2048", "tokenizer.chars=3M", "base.depth=1", "base.seq_len=256", "base.steps=5",
                 "base.batch_tokens=4096", "base.eval_every=0", "base.precision=f32", "mid.batch_tokens=4096", "mid.eval_every=0",
                 "sft.eval_every=0", "base_eval.eval_tokens=20k", "base_eval.examples=11", "chat_eval.examples=3", "chat_eval.max_tokens=16",
                 *(f"{stage}.mixture[{i}].rows=40" for stage, n in (("mid", 3), ("sft", 4)) for i in range(n))]
        call("run", recipe("nano-100"), *there, *(word for each in small for word in ("-s", each)), results=self.results, check=0)
        report = json.loads(call("report", "nano-100", "--json", results=self.results, check=0).stdout)
        scores = [s["score"] for s in report["scores"]]
        self.assertIn("humaneval (3 of 164)", scores)
        self.assertIn("ChatCORE (5 tasks, capped)", scores)
        self.assertIn("CORE (18 of 22 tasks, capped)", scores)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
