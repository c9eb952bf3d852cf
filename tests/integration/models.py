"""models.py FILE: stands for replicas of ml-base with different models. FILE holds numbers; each request
takes the next of them, over and over, as its model: its name is model-N, its fingerprint print-N, and its
vectors are full of N. Says "listening addr=HOST:PORT"."""
import http.server
import itertools
import json
import struct
import sys

turn = itertools.count()


class Replica(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def model(self):
        with open(sys.argv[1]) as f:
            numbers = f.read().split()
        return int(numbers[next(turn) % len(numbers)])

    def reply(self, kind, body, headers=()):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        n = self.model()
        self.reply("application/json", json.dumps({
            "model": f"model-{n}", "fingerprint": f"print-{n}", "native_dimension": 256, "mrl": "layer_norm",
            "vocab_size": 30522, "max_tokens": 256}).encode())

    def do_POST(self):
        n = self.model()
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        values = len(request["texts"]) * request["dimension"]
        self.reply("application/octet-stream", struct.pack("<f", n) * values,
                   [("X-Embedding-Fingerprint", f"print-{n}"),
                    ("X-Embedding-Lengths", ",".join("3" for _ in request["texts"]))])

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replica)
server.daemon_threads = True
print(f"listening addr=127.0.0.1:{server.server_address[1]}", file=sys.stderr, flush=True)
server.serve_forever()
