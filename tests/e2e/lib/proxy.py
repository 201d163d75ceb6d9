"""A TCP proxy before a broker that cuts connections around chosen requests: the request or its reply is lost."""
import random
import socket
import struct
import threading
import time

from lib.listener import Listener

PRODUCE, ADD_OFFSETS, END_TRANSACTION, OFFSETS = 0, 25, 26, 28  # Kafka's API keys


class CuttingProxy(Listener):
    """Forwards 127.0.0.1:`port` to the port that `target()` names. While `share` is above 0, that share of the requests
    with one of the API keys in `keys` is cut: half of them before the broker has the request, half after. Or one alone,
    by strike(), and then nothing passes for a while."""

    def __init__(self, target, keys=(ADD_OFFSETS, END_TRANSACTION, OFFSETS)):
        self.target, self.keys, self.share = target, keys, 0.0
        self.requests_lost = self.replies_lost = 0
        self.dice = random.Random(4)
        self.aim = None  # (API key, is the request itself lost, seconds of darkness)
        self.dark_until = 0.0
        self.produce_delay = 0.0  # seconds that every request to write records waits: a broker far away
        super().__init__()

    def strike(self, key, lose_request, seconds):
        """The next request with that key is lost, or its reply; for so many seconds nothing passes."""
        self.aim = key, lose_request, seconds

    def _decide(self, key):
        """(cut this request's connection, before the broker has it)"""
        if self.aim and self.aim[0] == key:
            (_, lose_request, seconds), self.aim = self.aim, None
            self.dark_until = time.monotonic() + seconds
            return True, lose_request
        if time.monotonic() < self.dark_until:
            return True, True
        return key in self.keys and self.dice.random() < self.share, self.dice.random() < 0.5

    def serve(self, client):
        broker = None
        try:
            if time.monotonic() < self.dark_until:
                return
            broker = socket.create_connection(("127.0.0.1", self.target()), timeout=10)
            broker.settimeout(None)
            for sock in (client, broker):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._copy_replies, args=(broker, client), daemon=True).start()
            while self._forward(client, broker):
                pass
        except OSError:
            pass
        finally:
            end(client)
            end(broker)

    def _forward(self, client, broker):
        """One request; False when the connection is over."""
        head = read_exactly(client, 4)
        request = head and read_exactly(client, struct.unpack(">i", head)[0])
        if not request:
            return False
        key = struct.unpack(">h", request[:2])[0]
        if key == PRODUCE:
            time.sleep(self.produce_delay)
        cut, before = self._decide(key)
        if cut and before:
            self.requests_lost += 1
            return False
        if cut:
            self.replies_lost += 1
            end(client)
        broker.sendall(head + request)
        return not cut

    @staticmethod
    def _copy_replies(broker, client):
        try:
            while data := broker.recv(65536):
                client.sendall(data)
        except OSError:
            pass
        end(client)


def read_exactly(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data


def end(sock):
    """Also wakes whoever reads from it."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
    except (OSError, AttributeError):
        pass
