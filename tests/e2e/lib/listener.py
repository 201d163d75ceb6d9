"""A server of the loopback that serves each connection in a thread of its own."""
import socket
import threading


class Listener:
    """Listens on a free port from __init__() on, which its heir calls last; serve(client) is the heir's."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self, client):
        raise NotImplementedError

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()
