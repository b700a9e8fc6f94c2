"""Answers HTTP on a socket that mhost has opened: python3 server.py <descriptor>."""

import http.server
import os
import signal
import socket
import sys
import threading


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"python {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    # Requests that were accepted are answered before it ends.
    daemon_threads = False

    def __init__(self, listener):
        super().__init__(("", 0), Answer, bind_and_activate=False)
        self.socket.close()
        self.socket = listener


listener = socket.socket(fileno=int(sys.argv[1]))
# Another instance may take the connection that woke us: then we must not wait for the next.
listener.setblocking(False)
server = Server(listener)
# `shutdown` waits for the loop, which runs in the thread that gets the signal.
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.05)
# What waits to be accepted is answered by whoever gets the socket next.
server.server_close()
