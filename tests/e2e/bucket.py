"""A small S3-compatible store for tests: objects in memory, requests checked as the documentation of Signature Version 4 has it.

    with Bucket() as bucket:
        ... AWS_ENDPOINT_URL_S3=bucket.url, keys bucket.KEY and bucket.SECRET ...
        bucket.todo["PUT"].append(("status", 503))     # what happens to the next PUT instead
        bucket.objects["bucket/dir/name"]

A POST with which parts are put together is a FINISH. What can happen: ("status", N), ("cut",) in the middle of the body, ("spoil",)
what arrives is stored otherwise and its ETag is of that, ("etag",) it is stored well under an ETag that is no MD5, ("late",) parts are put together with status 200 and an error behind it,
("slow", seconds).
"""
import base64
import collections
import hashlib
import hmac
import http.server
import re
import threading
import time
import urllib.parse

PAGE = 3  # entries of a page of a list: few, so that there are several


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def give(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, message="no"):
        self.server.bucket.refused.append(code)
        self.give(status, f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())

    def signature_is_good(self, body):
        """https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html"""
        b = self.server.bucket
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})",
                             self.headers.get("Authorization", ""))
        if not match:
            return "no signature: " + self.headers.get("Authorization", "")
        key, day, region, signed, signature = match.groups()
        names = signed.split(";")
        if names != sorted(names) or "host" not in names or "x-amz-content-sha256" not in names or "x-amz-date" not in names:
            return "signed headers: " + signed
        for name in self.headers:
            if name.lower().startswith("x-amz-") and name.lower() not in names:
                return "not signed: " + name
        payload = self.headers["x-amz-content-sha256"]
        if payload != hashlib.sha256(body).hexdigest():
            return "the body is not what was signed"
        path, _, query = self.path.partition("?")
        pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else []
        encoded = "&".join(f"{urllib.parse.quote(urllib.parse.unquote(n), safe='-._~')}={urllib.parse.quote(urllib.parse.unquote(v), safe='-._~')}"
                           for n, v in pairs)
        request = "\n".join([self.command, urllib.parse.quote(urllib.parse.unquote(path), safe="/-._~"), encoded,
                             *[f"{n}:{' '.join(self.headers[n].split())}" for n in names], "", signed, payload])
        scope = f"{day}/{region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["x-amz-date"], scope, hashlib.sha256(request.encode()).hexdigest()])
        secret = ("AWS4" + b.SECRET).encode()
        for part in (day, region, "s3", "aws4_request"):
            secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
        if key != b.KEY or not hmac.compare_digest(hmac.new(secret, text.encode(), hashlib.sha256).hexdigest(), signature):
            return "SignatureDoesNotMatch"
        if b.token and self.headers.get("x-amz-security-token") != b.token:
            return "no token"
        return None

    def answer(self):
        b = self.server.bucket
        length = int(self.headers.get("Content-Length", 0))
        finishes = self.command == "POST" and "uploadId=" in self.path
        with b.guard:
            todo = b.todo["FINISH" if finishes else self.command]
            what, *args = todo.pop(0) if todo else ("",)
            b.seen.append((self.command, self.path, dict(self.headers)))
        if what == "cut":
            self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(length)
        if len(body) < length:  # given up, for what it was to bring is out of date
            self.close_connection = True
            return
        if what == "slow":
            time.sleep(args[0])
        if what == "status":
            return self.refuse(args[0], "SlowDown" if args[0] == 503 else "Trouble", "come again")
        wrong = self.signature_is_good(body)
        if wrong:
            return self.refuse(403, "SignatureDoesNotMatch", wrong)
        md5 = self.headers.get("Content-MD5")
        if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
            return self.refuse(400, "BadDigest")
        path, _, query = self.path.partition("?")
        name = urllib.parse.unquote(path).lstrip("/")
        fields = {n: urllib.parse.unquote(v) for n, v in (pair.partition("=")[::2] for pair in query.split("&"))} if query else {}
        with b.guard:
            getattr(self, "on_" + self.command.lower())(b, name, fields, body, what)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def on_put(self, b, name, fields, body, what):
        if what == "spoil":
            body = body[:-1] + bytes([body[-1] ^ 1]) if body else body
        etag = hashlib.md5(body).hexdigest()
        if "partNumber" in fields:
            upload = b.uploads.get(fields["uploadId"])
            if upload is None or upload[0] != name:
                return self.refuse(404, "NoSuchUpload")
            upload[1][int(fields["partNumber"])] = body
        else:
            b.objects[name] = body
            b.etags[name] = etag if what != "etag" else "something-of-its-own"
            etag = b.etags[name]
        self.give(200, headers=[("ETag", f'"{etag}"')])

    def on_post(self, b, name, fields, body, what):
        if "uploads" in fields:
            b.n_uploads += 1
            upload = f"up/load+{b.n_uploads}="  # as hard on the query as it may be
            b.uploads[upload] = (name, {})
            return self.give(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode())
        upload = b.uploads.get(fields["uploadId"])
        if upload is None:
            return self.refuse(404, "NoSuchUpload")
        said = re.findall(rb"<PartNumber>(\d+)</PartNumber><ETag>\"?([0-9a-f]+)\"?</ETag>", body)
        parts = [(int(n), etag.decode()) for n, etag in said]
        if [n for n, _ in parts] != sorted(upload[1]) or any(hashlib.md5(upload[1][n]).hexdigest() != etag for n, etag in parts):
            return self.refuse(400, "InvalidPart")
        if what == "late":  # 200 first, and then it failed
            return self.give(200, b"<Error><Code>InternalError</Code><Message>sorry</Message></Error>")
        b.objects[name] = b"".join(upload[1][n] for n, _ in parts)
        b.etags[name] = hashlib.md5(b"".join(hashlib.md5(upload[1][n]).digest() for n, _ in parts)).hexdigest() + f"-{len(parts)}"
        del b.uploads[fields["uploadId"]]
        self.give(200, f"<CompleteMultipartUploadResult><ETag>&quot;{b.etags[name]}&quot;</ETag></CompleteMultipartUploadResult>".encode())

    def on_get(self, b, name, fields, body, what):
        if "list-type" not in fields:
            if name not in b.objects:
                return self.refuse(404, "NoSuchKey")
            return self.give(200, b.objects[name], [("ETag", f'"{b.etags[name]}"')])
        bucket = name.rstrip("/")
        keys = sorted(n[len(bucket) + 1:] for n in b.objects if n.startswith(bucket + "/"))
        keys = [k for k in keys if k.startswith(fields.get("prefix", "")) and k > fields.get("continuation-token", "")]
        page, more = keys[:PAGE], len(keys) > PAGE
        items = "".join(f"<Contents><Key>{k}</Key><Size>{len(b.objects[bucket + '/' + k])}</Size></Contents>" for k in page)
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if more else ""
        self.give(200, f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{token}{items}</ListBucketResult>".encode())

    def on_delete(self, b, name, fields, body, what):
        if "uploadId" in fields:
            b.uploads.pop(fields["uploadId"], None)
        else:
            b.objects.pop(name, None)
        self.give(204)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients are killed here all the time


class Bucket:
    KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

    def __init__(self, token=""):
        self.objects, self.etags, self.uploads, self.n_uploads = {}, {}, {}, 0
        self.todo, self.seen, self.refused, self.token = collections.defaultdict(list), [], [], token
        self.guard = threading.Lock()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.bucket = self
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def environment(self):
        more = {"AWS_SESSION_TOKEN": self.token} if self.token else {}
        return {"AWS_ACCESS_KEY_ID": self.KEY, "AWS_SECRET_ACCESS_KEY": self.SECRET, "AWS_ENDPOINT_URL_S3": self.url,
                "no_proxy": "127.0.0.1", **more}

    def files(self, folder):
        with self.guard:
            return {n[len(folder) + 1:]: body for n, body in self.objects.items() if n.startswith(folder + "/")}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
