"""Reads callgrind's output: how many instructions each part of a program cost, the C library's on its behalf included."""
import collections
import re

NAME = re.compile(r"\((\d+)\)(?: (.*))?")
LIBRARIES = {"libcurl": "libcurl", "librdkafka": "librdkafka", "libssl": "TLS", "libcrypto": "TLS",
             "libjson-c": "json-c", "libmicrohttpd": "admin"}
HELPERS = "the C library"  # counted for whoever called it


def part_of(library, file):
    """What a reader calls the place: a folder of src/, a library, or the C library."""
    for stem, name in LIBRARIES.items():
        if stem in library:
            return name
    if re.search(r"/(libc|libm|libz|ld-linux|libpthread)[.-]", library) or "vgpreload" in library or not library:
        return HELPERS
    folder = re.search(r"/src/(\w+)/", file)
    return f"src/{folder[1]}" if folder else HELPERS


class Profile:
    """`own`: instructions by part; `behalf`: those of the C library for that part; `functions`: (part, name) -> own."""

    def __init__(self, path):
        self.own, self.behalf, self.functions = (collections.Counter() for _ in range(3))
        self.calls = collections.Counter()  # (caller, C function): on its behalf
        self._names = collections.defaultdict(dict)
        with open(path, encoding="utf-8", errors="replace") as lines:
            self._read(lines)

    def _name(self, kind, text):
        match = NAME.fullmatch(text)
        if not match:
            return text
        if match[2] is not None:
            self._names[kind][match[1]] = match[2]
        return self._names[kind].get(match[1], "")

    def _read(self, lines):
        at = {"ob": "", "fl": "", "fn": "", "cob": "", "cfl": "", "cfn": ""}
        called = False
        for line in lines:
            line = line.rstrip("\n")
            key, equals, text = line.partition("=")
            if equals and key in ("ob", "fl", "fi", "fe", "fn", "cob", "cfl", "cfi", "cfn"):
                kind = {"fi": "fl", "fe": "fl", "cfi": "cfl"}.get(key, key)
                at[kind] = self._name({"ob": "ob", "fl": "fl", "fn": "fn"}[kind.removeprefix("c")], text)
                if key == "fn":
                    at["entry"] = at["fl"]
                if kind in ("ob", "fl", "fn"):
                    at["cob"], at["cfl"] = at["ob"], at["fl"]
            elif key == "calls":
                called = True
            elif line and (line[0].isdigit() or line[0] in "+-*"):
                cost = int(line.split()[1]) if len(line.split()) > 1 else 0
                self._count(at, called, cost)
                if called:
                    at["cob"], at["cfl"], called = at["ob"], at["fl"], False

    def _count(self, at, called, cost):
        # What is inlined from another folder counts there; what is from the C library's headers, for its function.
        here = part_of(at["ob"], at["fl"])
        if here == HELPERS:
            here = part_of(at["ob"], at["entry"])
        if not called:
            self.own[here] += cost
            self.functions[here, at["fn"]] += cost
        elif here != HELPERS and part_of(at["cob"], at["cfl"]) == HELPERS:
            self.behalf[here] += cost
            self.calls[at["fn"], at["cfn"]] += cost

    def total(self):
        return sum(self.own.values())
