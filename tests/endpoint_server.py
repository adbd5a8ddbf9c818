"""A real server process that speaks the chat-completions protocol, with a model of this package behind it: `python -m tests.endpoint_server`.

Prints its port. Every picture it gets is read as a file would be, every question is answered by the model (the stand-in, or `pocket`).
`--fail 503,429,hang` spoils the first requests, one each; `--key` demands a key; `--plain` gives no log-probabilities.
"""

import argparse
import base64
import json
import math
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from vesalius.domain.exchange import Question
from vesalius.formats import read
from vesalius.models.base import Sampling


def model_of(name):
    if name == "pocket":
        from vesalius.models.pocket import load

        return load()
    from tests.standin import StandIn

    return StandIn(name)


class Handler(BaseHTTPRequestHandler):
    lock = threading.Lock()

    def log_message(self, *args):
        pass

    def _send(self, status, value, **headers):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        setup = self.server.setup
        with self.lock:
            trouble = setup.trouble.pop(0) if setup.trouble else None
        if trouble == "hang":
            time.sleep(3)
        elif trouble == "garbage":
            return self._send(200, b"<html>not here</html>")
        elif trouble == "empty":
            return self._send(200, {"choices": []})
        elif trouble is not None:
            return self._send(int(trouble), {"error": {"message": f"made to fail with {trouble}"}}, Retry_After="0")
        if setup.key and self.headers.get("Authorization") != f"Bearer {setup.key}":
            return self._send(401, {"error": {"message": "no such key"}})
        if not self.path.endswith("/v1/chat/completions"):
            return self._send(404, {"error": {"message": f"no {self.path} here"}})
        return self._send(200, self._answer(data))

    def _answer(self, data):
        setup = self.server.setup
        picture, question = (data["messages"][-1]["content"][i] for i in (0, 1))
        png = base64.b64decode(picture["image_url"]["url"].partition("base64,")[2])
        with self.lock, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture.png"
            path.write_bytes(png)
            encoded = setup.model.encode(read(path, modality="DX"))
            way = Sampling(data["temperature"], data["max_tokens"], data["seed"])
            answer = setup.model.answer(encoded, [Question(question["text"])], way)[0]
        choice = {"index": 0, "message": {"role": "assistant", "content": answer.text}, "finish_reason": "stop"}
        if data.get("logprobs") and not setup.plain:
            yes = answer.p_yes if answer.p_yes is not None else 0.5
            top = [{"token": t, "logprob": math.log(max(p, 1e-9))} for t, p in (("yes", yes), (" No", 1 - yes))]
            choice["logprobs"] = {"content": [{"token": answer.text, "logprob": answer.logprob or 0.0, "top_logprobs": top}]}
        return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="seeing")
    parser.add_argument("--fail", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--plain", action="store_true")
    setup = parser.parse_args()
    setup.trouble = [t for t in setup.fail.split(",") if t]
    setup.model = model_of(setup.model)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.setup = setup
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
