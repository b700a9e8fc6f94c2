"""The model double of other people, and a relay before it that knows how long it took.

`MHOST_COUNTERPARTS` names the folder with aimock, as for the tests:

    npm install --prefix DIR --ignore-scripts --omit=optional @copilotkit/aimock@1.43.0
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = "node_modules/@copilotkit/aimock/dist/cli.js"


def script():
    path = Path(os.environ.get("MHOST_COUNTERPARTS", "")) / SCRIPT
    if "MHOST_COUNTERPARTS" not in os.environ or not path.exists():
        sys.exit(f"there is no {SCRIPT} in the folder that MHOST_COUNTERPARTS names; "
                 "how to install it is at the top of tests/bench/double.py")
    return path.resolve()


class Aimock:
    """aimock with these fixtures; takes `think` seconds for each answer."""

    def __init__(self, folder, fixtures, think=0):
        folder.mkdir(parents=True)
        (folder / "f.json").write_text(json.dumps({"fixtures": fixtures}))
        late = ["--chaos-latency", str(int(think * 1000))] if think else []
        self.child = subprocess.Popen(["node", script(), "-p", "0", "--strict", "-f", folder, *late],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        said = []
        for line in self.child.stdout:
            said.append(line)
            if "listening on " in line:
                self.url = line.split("listening on ")[1].strip()
                # It would stop where nobody reads what it says.
                threading.Thread(target=self.child.stdout.read, daemon=True).start()
                return
        raise RuntimeError(f"aimock does not come up: {''.join(said)}")

    def asked(self):
        """How often it was asked, by its own count."""
        with urllib.request.urlopen(self.url + "/__aimock/journal") as answer:
            journal = json.load(answer)
        rows = journal if isinstance(journal, list) else journal["entries"]
        return sum("chat/completions" in row["path"] for row in rows)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


class Relay:
    """Passes requests on to a double, and writes down what each took and cost."""

    def __init__(self, url):
        self.rounds = []
        relay, upstream = self, urlsplit(url).netloc

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            # Else the body waits for the other end to acknowledge the head, 40 ms.
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                begun = time.monotonic()
                asked = http.client.HTTPConnection(upstream)
                asked.request("POST", self.path, body, {"content-type": "application/json"})
                answer = asked.getresponse()
                text = answer.read()
                asked.close()
                relay.rounds.append((time.monotonic() - begun, *tokens(text)))
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        """What went through since the last time: (seconds, prompt and completion tokens) each."""
        rounds, self.rounds = self.rounds, []
        return rounds

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def tokens(text):
    """Tokens of the question and of the answer, as the double counts them; streamed or whole."""
    for line in reversed(text.decode().splitlines()):
        line = line.removeprefix("data: ")
        if line.startswith("{") and (usage := json.loads(line).get("usage")):
            return usage["prompt_tokens"], usage["completion_tokens"]
    return 0, 0
