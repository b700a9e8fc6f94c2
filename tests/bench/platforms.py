"""Slack and Discord on loopback, for a bot that is connected and waits.

Each answers the few calls that a bot makes until it waits, and keeps its socket open: Slack's
Socket Mode says hello and answers pings, Discord's gateway greets and answers heartbeats.
"""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# RFC 6455: what is appended to a key before it is hashed.
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Server(ThreadingHTTPServer):
    """A platform on a free port."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.here = f"127.0.0.1:{self.server_port}"
        self.url = f"http://{self.here}/api"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Slack(Server):
    name = "Slack"
    bot = ('[bot]\n[bot.slack]\nbot_token = "xoxb-1-2-three"\napp_token = "xapp-1-A0-2-three"\n'
           'base_url = "{url}"\n[bot.users]\n"slack:U0ANA" = "admin"\n')
    greeting = {"type": "hello", "num_connections": 1}

    def call(self, method, path):
        return {"ok": True, "user_id": "U0BOT", "user": "mhost", "team_id": "T0", "team": "Acme",
                "bot_id": "B0", "url": f"ws://{self.here}/link?ticket=1"}

    def hears(self, frame):
        return None


class Discord(Server):
    name = "Discord"
    bot = ('[bot]\n[bot.discord]\ntoken = "MTAw.GsEcRt.sEcReT_sEcReT_sEcReT"\n'
           'base_url = "{url}"\n[bot.users]\n"discord:100000000000000021" = "admin"\n')
    greeting = {"op": 10, "d": {"heartbeat_interval": 41_250}}

    def call(self, method, path):
        if method == "PUT":
            return []
        return {"id": "100000000000000001", "username": "mhost", "url": f"ws://{self.here}/gateway",
                "session_start_limit": {"remaining": 1_000, "reset_after": 0}}

    def hears(self, frame):
        ready = {"session_id": "1", "resume_gateway_url": f"ws://{self.here}/gateway"}
        return {1: {"op": 11}, 2: {"op": 0, "t": "READY", "s": 1, "d": ready}}.get(frame["op"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.talk()
        body = json.dumps(self.server.call(self.command, self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass

    def talk(self):
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        self.put(TEXT, json.dumps(self.server.greeting).encode())
        while (frame := self.get()) is not None:
            kind, data = frame
            if kind == PING:
                self.put(PONG, data)
            elif kind == CLOSE:
                return
            elif kind == TEXT and (said := self.server.hears(json.loads(data))):
                self.put(TEXT, json.dumps(said).encode())

    def put(self, kind, data):
        long = b"" if len(data) < 126 else len(data).to_bytes(2)
        self.wfile.write(bytes([0x80 | kind, 126 if long else len(data)]) + long + data)
        self.wfile.flush()

    def get(self):
        """Kind and content of the next frame; a client masks what it sends."""
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        length = head[1] & 0x7F
        if length > 125:
            length = int.from_bytes(self.rfile.read(2 if length == 126 else 8))
        mask = self.rfile.read(4)
        data = self.rfile.read(length)
        return head[0] & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))

    def handle(self):
        try:
            super().handle()
        except ConnectionError:
            # The daemon was ended.
            pass
