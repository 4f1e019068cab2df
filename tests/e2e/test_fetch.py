#!/usr/bin/env python3
"""Fetching from a server of our own, over https with a certificate of our own, that cuts, lies, changes, refuses, stalls and redirects.

    test_fetch.py RETORT SAME_RESULT SOURCE_FOLDER [TestClass[.test]]

Needs nothing but Python's own library and openssl, which makes the certificate; without it the tests are skipped.
"""
import hashlib
import http.server
import json
import os
import pathlib
import pty
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import RETORT, Folder, call, wait_for

if not shutil.which("openssl"):
    print("skipped: openssl, which makes the certificate, is not there")
    sys.exit(77)

TEXTS = {f"/data/{i:02}.txt": (f"the {['cat', 'dog', 'cow', 'hen'][i % 4]} sat on the mat and the dog sat on the cat\n" * 400).encode()
         for i in range(6)}
RECIPE = """retort: 1
name: web
nanochat: 2025
seed: 7
sources:
  web: {text: "https://localhost:PORT/data/{00..03}.txt", validate: last}
stages:
  tokenizer: {kind: tokenizer, source: web, vocab: 280, chars: 20k}
  base: {kind: pretrain, tokenizer: tokenizer, source: web, n_layer: 1, n_embd: 16, n_head: 1, n_kv_head: 1, head_dim: 16, n_mlp: 32,
         seq_len: 32, batch_tokens: 128, device_batch: 4, steps: 2, eval_every: 0, sample_every: 0}
"""
TOKEN = "s3cret-token"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files of the server; for a path that has something to do, does that first, one thing a GET."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def end(self):  # without the rest of what was promised
        self.wfile.flush()
        self.close_connection = True
        try:
            self.connection.unwrap()
        except (OSError, ValueError):
            pass

    def give(self, body, status=200, headers=(), length=None, chunked=False):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
            if length is not None:
                self.end()

    def headers_of(self, body):
        return [("ETag", f'"{hashlib.md5(body).hexdigest()}"'), ("Accept-Ranges", "bytes")]

    def do_HEAD(self):
        self.answer(None)

    def do_GET(self):
        s = self.server
        with s.guard:
            s.seen.append((self.path, dict(self.headers)))
            todo = s.todo.get(self.path.partition("?")[0], [])
            what = todo.pop(0) if todo else None
        try:
            self.answer(what)
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def answer(self, what):
        s = self.server
        body = s.files.get(self.path.partition("?")[0])
        what, *args = what or ("file",)
        if s.pause and self.command == "GET":
            time.sleep(s.pause)
        if what == "change":  # and go on as if nothing was
            body = s.files[self.path] = args[0]
            what = "file"
        if body is None and what == "file":
            self.give(b"not here", 404)
        elif what == "status":
            self.give(b"<html>no</html>", args[0], args[1:])
        elif what == "body":
            self.give(args[0], 200, args[1:])
        elif what == "signed":  # to another address each time
            self.give(b"", 302, [("Location", f"{args[0]}?signature={len(s.seen)}")])
        elif what == "whole":  # whatever is asked for
            self.give(body, 200, self.headers_of(body))
        elif what == "cut":
            self.give(body[:args[0]], 200, args[1:] or self.headers_of(body), length=len(body))
        elif what == "length":
            self.give(body, 200, self.headers_of(body), length=args[0])
        elif what == "chunked":
            self.give(args[0], chunked=True)
        elif what == "stall":
            self.stall(body, args[0])
        elif what == "endless":
            self.give(b"x" * (8 << 20), 302, args, chunked=True)
        elif what == "range":
            self.give(args[1], 206, [("Content-Range", args[0]), *args[2:]])
        else:
            self.serve(body)

    def stall(self, body, n):
        self.send_response(200)
        for name, value in self.headers_of(body):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:n])
        self.wfile.flush()
        self.server.release.wait(60)
        self.end()

    def serve(self, body):
        asked, same = self.headers.get("Range"), self.headers.get("If-Range")
        head = self.headers_of(body)
        if not asked or (same and same != head[0][1] and not self.server.careless):
            self.give(body, 200, head)
            return
        first = int(asked.removeprefix("bytes=").rstrip("-"))
        if first >= len(body):
            self.give(b"", 416, [("Content-Range", f"bytes */{len(body)}")])
            return
        self.give(body[first:], 206, [*head, ("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, certificate, host="127.0.0.1"):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), Handler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.files, self.todo, self.seen, self.guard = dict(TEXTS), {}, [], threading.Lock()
        self.release, self.pause, self.careless = threading.Event(), 0, False
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def finish_request(self, request, client_address):  # in the thread of the request, so that nobody waits for a handshake
        try:
            request.settimeout(60)
            with self.context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)
        except (OSError, ssl.SSLError):
            pass

    def handle_error(self, request, client_address):
        pass


class Data(Folder):
    @classmethod
    def setUpClass(cls):
        cls.tls = pathlib.Path(tempfile.mkdtemp(prefix="retort-tls-"))
        key, cert, both = cls.tls / "key.pem", cls.tls / "cert.pem", cls.tls / "both.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-keyout", key, "-out", cert, "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"], check=True, capture_output=True)
        both.write_bytes(key.read_bytes() + cert.read_bytes())
        cls.cert, cls.both = cert, both

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.tls, ignore_errors=True)

    def setUp(self):
        super().setUp()
        self.server = Server(self.both)
        self.recipe = self.folder / "web.yaml"
        self.pins = self.folder / "web.data.yaml"
        self.write(RECIPE)
        self.env = {"SSL_CERT_FILE": str(self.cert), "RETORT_DATA_WAIT": "0.01", "RETORT_DATA_STALL": "1", "no_proxy": "*",
                    "CURL_CA_BUNDLE": "", "HF_TOKEN": "", "RETORT_DATA_TOKEN": ""}

    def tearDown(self):
        self.server.release.set()
        self.server.shutdown()
        self.server.server_close()
        super().tearDown()

    def write(self, text):
        self.recipe.write_text(text.replace("PORT", str(self.server.port)))

    def url(self, path):
        return f"https://localhost:{self.server.port}{path}"

    def file(self, path):
        return self.results / f"data/localhost:{self.server.port}{path}"

    def data(self, *more, check=0, env=None):
        return call("data", self.recipe, *more, results=self.results, check=check, env={**self.env, **(env or {})})

    def told(self, *more, check=0):
        return json.loads(self.data("--json", *more, check=check).stdout)

    def command(self, name, *more, check=0):
        return call(name, self.recipe, *more, results=self.results, check=check, env=self.env)

    def gets(self, path=None):
        return [s for s in self.server.seen if path in (None, s[0])]

    def start(self, *more):
        process = subprocess.Popen([str(RETORT), "data", str(self.recipe), "--results", str(self.results), *more],
                                   env={**os.environ, **self.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        return process

    def assertWhole(self, *paths):
        for path in paths or [f"/data/{i:02}.txt" for i in range(4)]:
            self.assertEqual(self.file(path).read_bytes(), self.server.files[path], path)
        self.assertEqual([p.name for p in self.results.rglob("*.part*")], [])

    def only(self, path, form="text", more=""):
        """A recipe with one file, besides a local one."""
        (self.folder / "local.txt").write_text("a cat\n")
        self.write(RECIPE.replace('{text: "https://localhost:PORT/data/{00..03}.txt", validate: last}',
                                  f'{{{form}: "https://localhost:PORT{path}"{more}, validate: none}}'))


class Fetch(Data):
    def test_from_the_first_list_to_a_run(self):
        listed = self.data("--list").stdout
        self.assertIn("web", listed)
        self.assertTrue(all(len(line) <= 80 for line in listed.splitlines()), listed)
        self.assertEqual(self.gets(), [])
        self.assertFalse(self.pins.exists())
        self.command("check")
        before = self.plan(self.recipe)
        self.assertEqual({s["state"] for s in before.values()}, {"unknown"})
        self.assertIn(f"retort data {self.recipe}", self.command("plan").stdout)
        self.assertIn("not fetched", self.command("plan").stdout)
        self.assertIn("is not fetched", self.command("why").stdout)
        refused = self.command("run", check=3)
        self.assertIn("files that stage 'tokenizer' reads are not fetched", refused.stderr)
        self.assertIn(f"`retort data {self.recipe}` fetches them", refused.stderr)
        self.assertIn("is not fetched", self.data("--offline", check=3).stderr)
        self.assertEqual(self.gets(), [])

        out = self.data().stdout
        self.assertIn("4 of 4 files fetched", out)
        self.assertTrue(all(len(line) <= 80 for line in out.splitlines() if str(self.folder) not in line), out)
        self.assertNotIn("\r", out)
        self.assertWhole()
        known = [line.split("\t")[4] for line in (self.results / "identity.tsv").read_text().splitlines()]
        self.assertEqual(sorted(known), sorted(hashlib.sha256(b).hexdigest() for b in list(TEXTS.values())[:4]), "hashed anew by who comes next")
        self.assertEqual(sorted(s[0] for s in self.gets()), [f"/data/{i:02}.txt" for i in range(4)])
        for path, body in list(TEXTS.items())[:4]:
            self.assertIn(f'{{url: "{self.url(path)}", bytes: {len(body)}, sha256: "{hashlib.sha256(body).hexdigest()}", '
                          f'etag: "\\"{hashlib.md5(body).hexdigest()}\\""}}', self.pins.read_text())
        pinned = self.pins.read_text()
        self.assertIn("nothing to fetch", self.data().stdout)
        self.data("--offline")
        self.assertEqual(len(self.gets()), 4)
        self.assertEqual(self.pins.read_text(), pinned)

        plan = self.plan(self.recipe)
        self.assertEqual({s["state"] for s in plan.values()}, {"run"})
        shutil.move(self.results / "data", self.folder / "away")  # keys are known without the files
        without = self.plan(self.recipe)
        self.assertEqual({n: s["key"] for n, s in without.items()}, {n: s["key"] for n, s in plan.items()})
        self.assertIn("retort data", self.command("run", check=3).stderr)
        shutil.move(self.folder / "away", self.results / "data")
        self.command("run")
        shutil.rmtree(self.results / "data")  # and what is made needs them no more
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"cached"})
        self.command("run")

        # The key is that of the content, wherever it comes from.
        local = self.folder / "local"
        local.mkdir()
        for path, body in TEXTS.items():
            (local / path.rsplit("/")[-1]).write_bytes(body)
        self.write(RECIPE.replace("https://localhost:PORT/data/", f"file://{local}/"))
        self.assertEqual({n: s["key"] for n, s in self.plan(self.recipe).items()}, {n: s["key"] for n, s in plan.items()})

    def test_the_answer_for_programs(self):
        answer = self.told("--list")
        self.assertEqual([f["state"] for f in answer["files"]], ["missing"] * 4)
        self.assertEqual(answer["files"][0]["url"], self.url("/data/00.txt"))
        self.assertEqual((answer["files"][0]["bytes"], answer["files"][0]["sha256"]), (None, None))
        self.server.files.pop("/data/02.txt")
        answer = self.told(check=3)
        self.assertEqual([f["state"] for f in answer["files"]], ["fetched", "fetched", "failed", "fetched"])
        self.assertFalse(answer["ok"])
        self.assertIn("HTTP 404", answer["errors"][0]["what"])
        self.server.files["/data/02.txt"] = TEXTS["/data/02.txt"]
        answer = self.told()
        self.assertEqual([f["state"] for f in answer["files"]], ["there", "there", "fetched", "there"])
        self.assertEqual([f["sha256"] for f in answer["files"]],
                         [hashlib.sha256(TEXTS[f"/data/{i:02}.txt"]).hexdigest() for i in range(4)])
        self.assertEqual(len(self.gets("/data/00.txt")), 1)

    def test_one_source(self):
        self.write(RECIPE.replace("stages:", '  more: {text: "https://localhost:PORT/data/{04..05}.txt", validate: none}\nstages:') +
                   "  other: {kind: tokenizer, source: more, vocab: 300, chars: 20k}\n")
        self.data("--only", "more")
        self.assertEqual(sorted(s[0] for s in self.gets()), ["/data/04.txt", "/data/05.txt"])
        self.assertIn("did you mean 'more'", self.data("--only", "mroe", check=2).stderr)

    def test_tasks_under_an_address(self):
        """`data:` can be an address, and tasks' files lie under it."""
        rows = b'{"question": "q", "answer": "a"}\n'
        self.server.files.update({"/t/train.jsonl": rows, "/t/test.jsonl": rows * 2})
        (self.folder / "tasks").mkdir()
        (self.folder / "tasks/sums.yaml").write_text('task: sums\nsource: {jsonl: "{split}.jsonl"}\nsplits: [train, test]\n'
                                                     "fields: {question: question, answer: answer}\ngrader: exact\n")
        self.write(RECIPE + "  sft: {kind: finetune, preset: sft, model: base, mixture: [{task: sums}]}\n")
        self.data("-s", f"data=https://localhost:{self.server.port}/t")
        self.assertWhole("/t/train.jsonl", "/t/test.jsonl", "/data/00.txt")
        refused = call("plan", self.recipe, "-s", "data=https://localhost:1/t", results=self.results, check=0).stdout
        self.assertIn("retort data", refused)
        self.assertIn("-s data=https://localhost:1/t", refused)

    def test_a_terminal(self):
        self.server.pause = 0.3
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(RETORT, [str(RETORT), "data", str(self.recipe), "--results", str(self.results), "--jobs", "1"],
                      {**os.environ, **self.env, "TERM": "xterm", "COLUMNS": "80"})
        text = b""
        while True:
            try:
                more = os.read(fd, 4096)
            except OSError:
                break
            if not more:
                break
            text += more
        self.assertEqual(os.waitpid(pid, 0)[1], 0, text)
        self.assertIn(b"\r\x1b[K", text)
        self.assertRegex(text.decode(), r"\d/4 files  [#-]{20}  ")


class Trouble(Data):
    def test_cut_connections_go_on_where_they_were(self):
        self.server.todo = {"/data/00.txt": [("cut", 5000), ("cut", 3)], "/data/01.txt": [("cut", 0)]}
        out = self.data().stdout
        self.assertWhole()
        seen = self.gets("/data/00.txt")
        etag = f'"{hashlib.md5(TEXTS["/data/00.txt"]).hexdigest()}"'
        self.assertEqual([s[1].get("Range") for s in seen], [None, "bytes=5000-", "bytes=3-"])
        self.assertEqual([s[1].get("If-Range") for s in seen], [None, etag, etag])
        self.assertIn("00.txt: ", out)
        self.assertIn("again in", out)

    def test_what_changes_between_tries_is_one_or_the_other(self):
        other = TEXTS["/data/05.txt"] * 2
        for careless in (False, True):  # a server that goes on with something else
            self.server.careless = careless
            self.server.files = dict(TEXTS)
            self.server.todo = {"/data/00.txt": [("cut", 5000), ("change", other)]}
            self.data()
            self.assertEqual(self.file("/data/00.txt").read_bytes(), other)
            self.assertWhole()
            shutil.rmtree(self.results)
            self.pins.unlink()

    def test_refusals_that_pass(self):
        self.server.todo = {"/data/00.txt": [("status", 429, ("Retry-After", "1")), ("status", 500), ("status", 503), ("status", 502)]}
        begin = time.monotonic()
        out = self.data().stdout
        self.assertGreaterEqual(time.monotonic() - begin, 1)
        self.assertWhole()
        for status in (429, 500, 503, 502):
            self.assertIn(f"HTTP {status}; again in", out)
        self.assertEqual(len(self.gets("/data/00.txt")), 5)

    def test_refusals_that_stay(self):
        self.server.todo = {"/data/00.txt": [("status", 500)] * 50, "/data/01.txt": [("status", 404)], "/data/02.txt": [("status", 403)],
                            "/data/03.txt": [("status", 429, ("Retry-After", "86400"))]}
        done = self.data(check=3)
        for part in ("HTTP 500, 8 times", "HTTP 404", "HTTP 403", "RETORT_DATA_TOKEN", "86400 seconds"):
            self.assertIn(part, done.stderr)
        self.assertEqual([len(self.gets(f"/data/{i:02}.txt")) for i in range(4)], [8, 1, 1, 1])
        self.assertFalse(self.pins.exists())
        self.server.todo = {}
        self.data()
        self.assertWhole()

    def test_weak_names_of_the_content(self):
        """An etag that does not promise the same bytes continues nothing; a date does, unless the rest has another one."""
        body = TEXTS["/data/00.txt"]
        weak, date, later = ("ETag", 'W/"x"'), ("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT"), ("Last-Modified", "Tue, 02 Jan 2024 00:00:00 GMT")
        rest = ("range", f"bytes 5000-{len(body) - 1}/{len(body)}")
        for todo, ranges, same in (([("cut", 5000, weak), ("whole",)], [None, None], [None, None]),
                                   ([("cut", 5000, weak, date), (*rest, body[5000:], date)], [None, "bytes=5000-"], [None, date[1]]),
                                   ([("cut", 5000, date), (*rest, b"y" * (len(body) - 5000), later)], [None, "bytes=5000-", None], [None, date[1], None])):
            self.server.todo = {"/data/00.txt": todo}
            self.server.seen.clear()
            self.data()
            self.assertWhole()
            self.assertEqual([s[1].get("Range") for s in self.gets("/data/00.txt")], ranges)
            self.assertEqual([s[1].get("If-Range") for s in self.gets("/data/00.txt")], same)
            shutil.rmtree(self.results)
            self.pins.unlink()

    def test_a_server_that_cannot_go_on(self):
        self.server.todo = {"/data/00.txt": [("cut", 5000), ("whole",)]}
        self.data()
        self.assertWhole()
        self.assertEqual([s[1].get("Range") for s in self.gets("/data/00.txt")], [None, "bytes=5000-"])

    def test_stalls(self):
        self.server.todo = {"/data/00.txt": [("stall", 100), ("stall", 0)]}
        self.data()
        self.assertWhole()
        self.assertEqual([s[1].get("Range") for s in self.gets("/data/00.txt")], [None, "bytes=100-", None])  # of which the second was answered from the beginning

    def test_a_host_that_is_not_there(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.write(RECIPE.replace("PORT", str(free.getsockname()[1])))
        done = self.data(check=3)
        self.assertIn("8 times", done.stderr)

    def test_lies_about_lengths(self):
        parquet = b"PAR1" + b"x" * 1000 + b"PAR1"
        self.server.files["/a.parquet"] = parquet
        self.only("/a.parquet", "parquet", ", column: text")
        self.server.todo = {"/a.parquet": [("length", 500)]}  # less than there is
        self.assertIn("its last bytes are missing", self.data(check=1).stderr)
        self.server.todo = {"/a.parquet": [("length", 5000)] * 50}  # more than there is
        self.assertIn("8 times", self.data(check=3).stderr)
        self.server.todo = {}
        self.data()
        self.assertWhole("/a.parquet")
        self.file("/a.parquet").unlink()
        self.server.todo = {"/a.parquet": [("chunked", parquet + b"more")]}  # more than is pinned
        self.assertIn(f"goes on behind the {len(parquet)} bytes", self.data(check=1).stderr)
        self.server.todo = {"/a.parquet": [("cut", 500), ("range", "bytes 0-99/1008", parquet[:100]), ("range", "bytes 500-10/3", b"abc"),
                                           ("range", "lies", parquet[500:])]}
        self.data()
        self.assertWhole("/a.parquet")
        self.file("/a.parquet").unlink()
        self.server.todo = {"/a.parquet": [("cut", 500), ("range", "bytes 500-1007/1008", b"y" * 508)]}  # the wrong rest
        self.data()
        self.assertWhole("/a.parquet")

    def test_what_is_no_such_file(self):
        page = b"<!DOCTYPE html><html>Please log in</html>"
        self.server.files.update({"/a.parquet": page, "/b.jsonl": page, "/c.txt": b""})
        self.only("/a.parquet", "parquet", ", column: text")
        self.assertIn("no parquet file: it begins with '<!DOCTYPE html>", self.data(check=1).stderr)
        self.only("/b.jsonl", "jsonl", ", field: text")
        self.assertIn("no JSON lines file", self.data(check=1).stderr)
        self.only("/c.txt")
        self.assertIn("is empty", self.data(check=1).stderr)
        self.server.todo = {"/c.txt": [("body", page, ("Content-Type", "text/html; charset=utf-8"))]}
        self.assertIn("a web page in place of the file", self.data(check=1).stderr)
        self.server.todo = {"/c.txt": [("body", b"\x1f\x8b", ("Content-Encoding", "gzip"))]}
        self.assertIn("is sent packed", self.data(check=1).stderr)
        self.assertFalse(self.pins.exists())
        self.assertEqual([p for p in self.results.rglob("data/**/*") if p.is_file()], [])

    def test_too_large_for_the_disk(self):
        self.pins.write_text(f'retort: 1\nfiles: [{{url: "{self.url("/data/00.txt")}", bytes: 400000000000000, sha256: "{"0" * 64}"}}]\n')
        done = self.data(check=3)
        self.assertIn("and '", done.stderr)
        self.assertIn("has room for", done.stderr)
        self.assertEqual(self.gets(), [])


    def test_a_file_that_may_not_grow_so_large(self):
        done = subprocess.run([RETORT, "data", self.recipe, "--results", self.results], env={**os.environ, **self.env},
                              capture_output=True, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10000, resource.RLIM_INFINITY)))
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("ulimit -f", done.stderr)
        self.assertEqual(sorted(p.stat().st_size for p in self.results.rglob("*.part")), [10000] * 4)
        self.data()
        self.assertWhole()
        self.assertEqual([s[1].get("Range") for s in self.gets("/data/00.txt")], [None, "bytes=10000-"])

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_a_folder_that_cannot_be_written(self):
        self.results.mkdir()
        self.folder.chmod(0o555)
        done = self.data(check=3)
        self.folder.chmod(0o755)
        self.assertIn(f"cannot write '{self.pins}'", done.stderr)
        self.assertEqual(self.gets(), [])


class Trust(Data):
    def test_certificates(self):
        done = self.data(check=3, env={"SSL_CERT_FILE": ""})
        self.assertIn("cannot trust the host", done.stderr)
        self.assertIn("SSL_CERT_FILE", done.stderr)
        self.assertEqual(self.gets(), [])
        self.data(env={"SSL_CERT_FILE": "/nowhere", "CURL_CA_BUNDLE": str(self.cert)})
        self.assertWhole()

    def test_redirects_and_tokens(self):
        other = f"https://127.0.0.1:{self.server.port}/data/05.txt"
        self.server.todo = {"/data/00.txt": [("status", 302, ("Location", "/data/04.txt"))],
                            "/data/01.txt": [("status", 302, ("Location", other))]}
        self.server.files.update({"/data/00.txt": TEXTS["/data/04.txt"], "/data/01.txt": TEXTS["/data/05.txt"]})
        out = self.data(env={"RETORT_DATA_TOKEN": f"localhost:{self.server.port}={TOKEN}"})
        self.assertWhole()
        for path, headers in self.server.seen:
            self.assertEqual(headers.get("Authorization"), None if path == "/data/05.txt" else f"Bearer {TOKEN}", path)
        self.assertIn("/data/05.txt", [s[0] for s in self.server.seen])
        self.assertNotIn(TOKEN, out.stdout + out.stderr)
        for path in self.folder.rglob("*"):
            self.assertTrue(path.is_dir() or TOKEN.encode() not in path.read_bytes(), path)

    def test_signed_addresses(self):
        """As the Hugging Face Hub does it: a relative address first, then another host by an address that is signed anew each time. The
        token stays where it belongs, a cut file goes on, and no signature is written down."""
        self.server.files["/cdn/00.txt"] = TEXTS["/data/00.txt"]
        self.server.todo = {"/data/00.txt": [("signed", "/moved/00.txt")] * 2,
                            "/moved/00.txt": [("signed", f"https://127.0.0.1:{self.server.port}/cdn/00.txt")] * 2,
                            "/cdn/00.txt": [("cut", 5000)]}
        out = self.data(env={"RETORT_DATA_TOKEN": f"localhost:{self.server.port}={TOKEN}"})
        self.assertWhole()
        seen = [s for s in self.server.seen if s[0].endswith("/00.txt") or "signature" in s[0]]
        self.assertEqual([s[0].partition("?")[0] for s in seen], ["/data/00.txt", "/moved/00.txt", "/cdn/00.txt"] * 2)
        self.assertEqual(len({s[0] for s in seen}), 5)
        for path, headers in seen:
            self.assertEqual(headers.get("Authorization"), None if path.startswith("/cdn") else f"Bearer {TOKEN}", path)
        self.assertEqual([s[1].get("Range") for s in seen], [None] * 3 + ["bytes=5000-"] * 3)
        for secret in ("signature", TOKEN):
            self.assertNotIn(secret, out.stdout + out.stderr)
            for path in self.folder.rglob("*"):
                self.assertTrue(path.is_dir() or secret.encode() not in path.read_bytes(), path)

    def test_hosts_that_are_numbers(self):
        try:
            server = Server(self.both, "::1")
        except OSError as e:
            self.skipTest(f"no IPv6: {e}")
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.recipe.write_text(RECIPE.replace("localhost:PORT/data/", f"[::1]:{server.port}/data/a%20"))
        server.files = {p.replace("/data/", "/data/a%20"): b for p, b in TEXTS.items()}
        self.data(env={"RETORT_DATA_TOKEN": f"[::1]:{server.port}={TOKEN}"})
        for path, headers in server.seen:
            self.assertEqual((self.results / f"data/[::1]:{server.port}{path}").read_bytes(), server.files[path])
            self.assertEqual(headers["Authorization"], f"Bearer {TOKEN}")
        self.assertEqual(len(server.seen), 4)
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"run"})

    def test_tokens_have_a_host(self):
        for wrong in (TOKEN, f"={TOKEN}", f"localhost={TOKEN}\r\nX: y", "localhost="):
            done = self.data(check=2, env={"RETORT_DATA_TOKEN": wrong})
            self.assertIn("HOST=TOKEN", done.stderr)
            self.assertNotIn(TOKEN, done.stdout + done.stderr)
        self.data(env={"RETORT_DATA_TOKEN": f"elsewhere={TOKEN}", "HF_TOKEN": TOKEN})
        self.assertTrue(all("Authorization" not in s[1] for s in self.server.seen))

    def test_https_alone(self):
        self.server.todo = {"/data/00.txt": [("status", 302, ("Location", "http://localhost:1/x"))],
                            "/data/01.txt": [("status", 301, ("Location", "file:///etc/passwd"))],
                            "/data/02.txt": [("status", 302, ("Location", "/data/02.txt"))] * 50,
                            "/data/03.txt": [("endless", ("Location", "/data/04.txt"))]}
        done = self.data(check=1)
        self.assertIn("with more than a MiB that is not the file", done.stderr)
        self.assertIn("leads to 'http://localhost:1/x', and only https is followed", done.stderr)
        self.assertIn("leads to 'file:///etc/passwd'", done.stderr)
        self.assertIn("leads from address to address", done.stderr)
        self.assertFalse(self.file("/data/01.txt").exists())


class Pinned(Data):
    def test_a_changed_address_is_refused(self):
        self.data()
        pinned = self.pins.read_text()
        for body in (b"something else", TEXTS["/data/00.txt"].replace(b"cat", b"rat")):  # another length, the same length
            self.server.files["/data/00.txt"] = body
            self.file("/data/00.txt").unlink(missing_ok=True)
            done = self.data(check=1)
            self.assertIn("web.data.yaml:", done.stderr)
            self.assertIn("is not what it was", done.stderr)
            self.assertIn("delete this line", done.stderr)
            self.assertFalse(self.file("/data/00.txt").exists())
            self.assertEqual(self.pins.read_text(), pinned)
        self.pins.write_text("".join(l for l in pinned.splitlines(True) if "/00.txt" not in l))
        self.data()
        self.assertWhole()

    def test_a_changed_file_is_refused(self):
        self.data()
        before = self.plan(self.recipe)
        self.file("/data/00.txt").write_bytes(TEXTS["/data/00.txt"].replace(b"cat", b"rat"))
        for command in ("plan", "run", "why"):
            done = self.command(command, check=1)
            self.assertIn("is not what was fetched", done.stderr)
            self.assertIn("remove '", done.stderr)
        for how in ((), ("--list",), ("--offline",)):
            told = self.told(*how, check=1)
            self.assertEqual((told["files"][0]["state"], told["errors"][0]["line"]), ("changed", 5))
        self.assertIn("is not what was fetched", self.data("--list", check=1).stderr)
        self.file("/data/00.txt").unlink()
        self.data()
        self.assertWhole()
        self.assertEqual(self.plan(self.recipe), before)

    def test_written_by_hand(self):
        """An entry of url and sha256 is enough for keys, and for verifying; a file brought by other means is as good."""
        body = TEXTS["/data/00.txt"]
        self.pins.write_text("retort: 1\nfiles:\n" + "".join(
            f'  - {{url: "{self.url(p)}", sha256: "{hashlib.sha256(b).hexdigest()}"}}\n' for p, b in TEXTS.items()))
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"run"})
        self.file("/data/00.txt").parent.mkdir(parents=True)
        self.file("/data/00.txt").write_bytes(body)
        self.data()
        self.assertEqual(self.gets("/data/00.txt"), [])
        self.assertWhole()
        self.assertIn("/data/05.txt", self.pins.read_text())

    def test_files_that_are_there_are_pinned(self):
        self.data()
        self.pins.unlink()
        self.assertEqual({s["state"] for s in self.plan(self.recipe).values()}, {"run"})
        self.data("--offline")
        self.assertIn(hashlib.sha256(TEXTS["/data/00.txt"]).hexdigest(), self.pins.read_text())

    def test_damaged_lists(self):
        url, sha = self.url("/data/00.txt"), "0" * 64
        entry = f'{{url: "{url}", sha256: "{sha}"}}'
        for text, line, what in ((f"retort: 1\nfiles:\n  - {{url: \"{url}\", sha256: \"12\"}}\n", 3, "sha256 is not 64 digits"),
                                 (f"retort: 1\nfiles:\n  - {{url: \"{url}\"}}\n", 3, "without sha256"),
                                 (f"retort: 1\nfiles:\n  - {{sha256: \"{sha}\"}}\n", 3, "without url"),
                                 (f"retort: 1\nfiles:\n  - {{url: \"http://x/y\", sha256: \"{sha}\"}}\n", 3, "no https address"),
                                 (f"retort: 1\nfiles:\n  - {{url: \"https://x/../y\", sha256: \"{sha}\"}}\n", 3, "names no file"),
                                 (f"retort: 1\nfiles:\n  - {entry[:-1]}, bytes: -1}}\n", 3, "not the size of a file"),
                                 (f"retort: 1\nfiles:\n  - {entry[:-1]}, bytes: many}}\n", 3, "many"),
                                 (f"retort: 1\nfiles:\n  - {entry[:-1]}, etag: \"a\\x01\"}}\n", 3, "etag"),
                                 (f"retort: 1\nfiles:\n  - {entry[:-1]}, size: 1}}\n", 3, "unknown key 'size'"),
                                 (f"retort: 1\nfiles:\n  - {entry}\n  - {entry}\n", 4, "stands twice"),
                                 ("retort: 1\nfiles:\n  - 17\n", 3, "is not a map"),
                                 ("retort: 1\nfiles: 17\n", 1, "no list of fetched files"),
                                 ("retort: 1\nfiles: []\nmore: 1\n", 3, "unknown key 'more'"),
                                 ("\x00\x01", 1, ""), ("retort: 1\nfiles: [\n", 3, "")):
            self.pins.write_text(text)
            for command in ("data", "plan", "check"):
                done = self.command(command, check=2)
                self.assertIn(f"web.data.yaml:{line}:", done.stderr, text)
                self.assertIn(what, done.stderr)
            self.assertEqual(self.pins.read_text(), text)
        self.pins.write_text("retort: 2\nfiles: []\n")
        self.assertIn("web.data.yaml:1:", self.command("data", check=4).stderr)
        self.pins.write_text("retort: 1\nfiles:\n")
        self.data()
        self.assertWhole()


class Interrupted(Data):
    def part(self, path="/data/00.txt"):
        return pathlib.Path(f"{self.file(path)}.part")

    def cut_off(self, how):
        self.server.todo = {"/data/00.txt": [("stall", 5000)]}
        self.env["RETORT_DATA_STALL"] = "60"
        process = self.start()
        wait_for(lambda: self.part().exists() and self.part().stat().st_size == 5000 and
                 all(self.file(f"/data/{i:02}.txt").exists() for i in (1, 2, 3)))
        process.send_signal(how)
        process.wait(30)
        self.assertEqual(self.part().stat().st_size, 5000)
        self.assertFalse(self.file("/data/00.txt").exists())
        return process

    def go_on(self):
        self.data()
        self.assertWhole()
        self.assertEqual([s[1].get("Range") for s in self.gets("/data/00.txt")], [None, "bytes=5000-"])
        self.assertEqual(len(self.gets()), 5)

    def test_killed(self):
        self.cut_off(signal.SIGKILL)
        self.go_on()

    def test_stopped(self):
        process = self.cut_off(signal.SIGINT)
        self.assertEqual(process.returncode, 75, process.stderr.read())
        self.assertIn("run it again to go on", process.stderr.read() or "run it again to go on")
        self.go_on()

    def test_killed_between_the_list_and_the_name(self):
        """A whole part that is what was written down gets its name without being fetched again; a damaged one does not."""
        for body, fetched in ((TEXTS["/data/00.txt"], 1), (b"x" * len(TEXTS["/data/00.txt"]), 2)):
            self.data()
            self.file("/data/00.txt").unlink()
            self.part().write_bytes(body)
            self.data()
            self.assertWhole()
            self.assertEqual(len(self.gets("/data/00.txt")), fetched)

    def test_a_part_whose_end_nobody_said(self):
        """It is whole, but of a server that did not say how long it is, and the process was killed before it was told."""
        body = TEXTS["/data/00.txt"]
        self.part().parent.mkdir(parents=True)
        self.part().write_bytes(body)
        pathlib.Path(f"{self.part()}.etag").write_text(f'"{hashlib.md5(body).hexdigest()}"\n\n-1\n')
        self.data()
        self.assertWhole()
        self.assertEqual([s[1].get("Range") for s in self.gets("/data/00.txt")], [f"bytes={len(body)}-"])

    def test_a_part_that_nobody_knows(self):
        for note in (b"", b"\xff\xfe\n\n\n", b'"x"\n\n99999999999999999999999\n'):
            self.part().parent.mkdir(parents=True, exist_ok=True)
            self.part().write_bytes(b"y" * 50000)
            pathlib.Path(f"{self.part()}.etag").write_bytes(note)
            self.data()
            self.assertWhole()
            shutil.rmtree(self.results)
            self.pins.unlink()

    def test_two_at_once(self):
        self.server.pause = 0.2
        processes = [self.start() for _ in range(2)]
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, out + err)
        self.assertWhole()
        self.assertEqual(sorted(s[0] for s in self.gets()), [f"/data/{i:02}.txt" for i in range(4)])
        self.assertEqual(self.pins.read_text().count("url:"), 4)

    def test_two_recipes_at_once(self):
        """Each writes down what it reads, whoever of them has fetched it."""
        other = self.folder / "other.yaml"
        other.write_text(self.recipe.read_text().replace("name: web", "name: other"))
        self.server.pause = 0.2
        processes = [self.start()]
        self.recipe = other
        processes.append(self.start())
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, out + err)
        self.assertWhole()
        self.assertEqual(sorted(s[0] for s in self.gets()), [f"/data/{i:02}.txt" for i in range(4)])
        for pins in (self.pins, self.folder / "other.data.yaml"):
            self.assertEqual(pins.read_text().count("sha256:"), 4)

    def test_two_lists_at_once(self):
        """Two fetch different sources of one recipe: neither takes away what the other has written down."""
        self.write(RECIPE.replace("stages:", '  more: {text: "https://localhost:PORT/data/{04..05}.txt", validate: none}\nstages:') +
                   "  other: {kind: tokenizer, source: more, vocab: 300, chars: 20k}\n")
        self.server.pause = 0.2
        processes = [self.start("--only", name) for name in ("web", "more")]
        for process in processes:
            out, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, out + err)
        self.assertEqual(self.pins.read_text().count("url:"), 6)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], warnings="ignore")
