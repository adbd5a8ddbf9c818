"""A real server that speaks the routes of the hub that a download uses: facts of a model, its commits, its files.

Folders are served as repositories. What goes wrong is set on `Hub`: files that are cut off, spoiled, refused; every request is kept.
"""

import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from vesalius.models import sources

LARGE = 4096  # bytes from which a file is stored apart, with its SHA-256


def _blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """Repositories by name, and what is wrong with them.

    Args:
        folders: {repository: folder}.
    """

    def __init__(self, folders):
        self.folders = dict(folders)
        self.gated, self.token = set(), None
        self.cut, self.spoilt, self.absent, self.status = {}, {}, set(), {}  # by path: bytes given once, times, -, answers given once
        self.stalled, self.go_on = {}, threading.Event()  # by path: bytes after which nothing comes until the event
        self.ranges = True
        self.newer = False  # whether main has moved on from the commit that the table names
        self.lists_outside = False
        self.requests = []
        self.lock = threading.Lock()

    def commit(self, repository):
        """A made-up id that begins as the table of sources has it."""
        known = {part.repository: part.revision for plan in sources.PLANS.values() for part in plan.parts}
        begins = known.get(repository, "main")
        made = hashlib.sha1(repository.encode()).hexdigest()
        return made if begins == "main" else begins + made[len(begins) :]

    def files(self, repository):
        folder = self.folders[repository]
        return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}

    def gets(self, path):
        """Ranges (or None) that a file was asked for with, in order."""
        return [wanted for method, name, wanted in self.requests if method == "GET" and name == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle(self):
        with contextlib.suppress(ConnectionError):
            super().handle()

    def _send(self, status, body=b"", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status, code):
        self._send(status, {"error": code}, X_Error_Code=code, X_Error_Message=code)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|commits)/(.+))?", path):
            return self._facts(hub, *found.groups())
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(hub, *found.groups())
        return self._refuse(404, "EntryNotFound")

    def _facts(self, hub, repository, what, revision):
        hub.requests.append((self.command, f"facts {repository}", None))
        if repository not in hub.folders:
            return self._refuse(401, "RepoNotFound")
        commit = hub.commit(repository)
        if what == "commits":
            facts = {"authors": [{"user": "a"}], "date": "2024-01-01T00:00:00.000Z", "title": "t", "message": ""}
            return self._send(200, [{"id": c, **facts} for c in (commit, "0" * 40)], Content_Type="application/json")
        if revision not in (None, "main", commit):
            return self._refuse(404, "RevisionNotFound")
        if revision != commit and hub.newer:
            commit = "f" * 40
        held = []
        for name, path in hub.files(repository).items():
            data = path.read_bytes()
            large = {"lfs": {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}} if len(data) >= LARGE else {}
            held.append({"rfilename": name, "size": len(data), "blobId": _blob(data), **large})
        if hub.lists_outside:
            held.append({"rfilename": "../outside.json", "size": 1, "blobId": "0" * 40})
        return self._send(200, {"id": repository, "sha": commit, "siblings": held, "tags": []}, Content_Type="application/json")

    def _file(self, hub, repository, revision, name):
        wanted = self.headers.get("Range")
        hub.requests.append((self.command, name, wanted))
        with hub.lock:
            trouble = hub.status.get(name, []).pop(0) if hub.status.get(name) else None
            cut = hub.cut.pop(name, None) if self.command == "GET" else None
            stalled = hub.stalled.pop(name, None)
            spoilt = hub.spoilt.get(name, 0)
            if spoilt and self.command == "GET":
                hub.spoilt[name] -= 1
        if repository in hub.gated and self.headers.get("Authorization") != f"Bearer {hub.token}":
            return self._refuse(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        if trouble:
            return self._send(trouble)
        files = hub.files(repository)
        if revision != hub.commit(repository) or name not in files or name in hub.absent:
            return self._refuse(404, "EntryNotFound")
        data = files[name].read_bytes()
        digest = hashlib.sha256(data).hexdigest() if len(data) >= LARGE else _blob(data)
        if spoilt:
            data = bytes(b ^ 255 for b in data)
        headers = {"ETag": f'"{digest}"', "X_Linked_Etag": f'"{digest}"', "X_Linked_Size": str(len(data)), "X_Repo_Commit": revision}
        status, start = 200, 0
        if wanted and hub.ranges:
            status, start = 206, int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        cut = stalled if cut is None else cut
        if cut is None:
            return self._send(status, body, Accept_Ranges="bytes", **headers)
        self.send_response(status)
        for key, text in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if stalled is not None:
            hub.go_on.wait(60)
        self.close_connection = True
        return None


@contextlib.contextmanager
def serve(folders):
    """A running server: yields (address, `Hub`)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub, server.daemon_threads = Hub(folders), True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.hub
    finally:
        server.hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
