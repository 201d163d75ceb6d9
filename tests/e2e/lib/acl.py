"""Rights of a Kafka user, granted by hand: librdkafka cannot name transactional ids among them."""
import socket
import struct

CREATE_ACLS, VERSION = 30, 1
TYPES = {"topic": 2, "group": 3, "transactional-id": 5}
OPERATIONS = {"READ": 3, "WRITE": 4, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10}
ALLOW = 3
PATTERNS = {False: 3, True: 4}  # literal, prefixed


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def grant(bootstrap, user, rights):
    """rights: (type, name, operation) each; a name that ends with * is a prefix. `bootstrap`: one broker that takes us
    for a super user."""
    body = struct.pack(">i", len(rights))
    for kind, name, operation in rights:
        body += struct.pack(">b", TYPES[kind]) + text(name.removesuffix("*")) + \
            struct.pack(">b", PATTERNS[name.endswith("*")]) + text(f"User:{user}") + text("*") + \
            struct.pack(">bb", OPERATIONS[operation], ALLOW)
    request = struct.pack(">hhi", CREATE_ACLS, VERSION, 1) + text("test") + body
    host, port = bootstrap.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=20) as broker, broker.makefile("rb") as answers:
        broker.sendall(struct.pack(">i", len(request)) + request)
        size, = struct.unpack(">i", answers.read(4))
        answer = answers.read(size)
    _, _, count = struct.unpack_from(">iii", answer)
    at = 12
    assert count == len(rights)
    for right in rights:
        code, length = struct.unpack_from(">hh", answer, at)
        assert code == 0, f"{right}: error {code}"
        at += 4 + max(length, 0)
