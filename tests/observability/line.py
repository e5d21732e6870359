"""A line between a gateway and Redis that can be told to pass on nothing of what is published."""

import contextlib
import socket
import threading

CHUNK = 65536


class Line:
    def __init__(self, port):
        self.to = ("127.0.0.1", port)
        self.silent = threading.Event()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.door.accept()
                threading.Thread(target=self.join, args=(near,), daemon=True).start()

    def join(self, near):
        try:
            far = socket.create_connection(self.to)
        except OSError:
            near.close()
            return
        subscribed = threading.Event()
        back = threading.Thread(target=self.carry, args=(far, near, lambda: subscribed.is_set() and self.silent.is_set()))
        back.daemon = True
        back.start()
        self.carry(near, far, lambda: False, lambda some: b"SUBSCRIBE" in some and subscribed.set())

    @staticmethod
    def carry(source, sink, falls_silent, look=lambda some: None):
        silent = False
        with contextlib.suppress(OSError):
            while some := source.recv(CHUNK):
                look(some)
                # For good: no line loses some bytes and delivers those behind them.
                silent = silent or falls_silent()
                if not silent:
                    sink.sendall(some)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def kill(self):
        self.door.close()
