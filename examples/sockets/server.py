"""Answers HTTP on a socket that mhost has opened: python3 server.py <descriptor>.

On SIGTERM it loses nothing: it accepts no more, answers what it has accepted, and says on each
connection that this was the last answer. What waits to be accepted is for another copy, or the
next run.
"""

import http.server
import os
import signal
import socket
import sys
import threading

ending = threading.Event()


class Answer(http.server.BaseHTTPRequestHandler):
    # With connections that are kept.
    protocol_version = "HTTP/1.1"
    # One on which nothing is asked for so long is closed.
    timeout = 5
    # Head and body in one piece: in two, the second waits until the client has seen the first.
    wbufsize = -1

    def do_GET(self):
        body = f"python {os.getpid()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection or ending.is_set():
            # The next question comes on a new connection. Closing without a word would lose
            # one that is under way.
            self.send_header("Connection", "close")
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


def watch():
    ending.wait()
    # Waits for the loop, which runs in the thread that gets the signal.
    server.shutdown()


# Begun ahead, and no more than a flag is set on the signal: a thread that is begun there waits
# for a lock that the loop may hold, and then neither goes on.
threading.Thread(target=watch, daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: ending.set())
server.serve_forever(poll_interval=0.05)
# Waits for the threads of all connections.
server.server_close()
