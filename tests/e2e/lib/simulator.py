"""The embedded broker and the Cognigy simulator: handoff-sandbox, its script, and the book of what it saw."""
import json
import urllib.error
import urllib.parse
import urllib.request

from lib.process import Process, binary, wait_until

PAGE = 1000


class Sandbox(Process):
    """A running handoff-sandbox; `bootstrap` is None when it was started without its broker."""

    client_id = "sandbox"
    client_secret = "sandbox-secret"

    def __init__(self, folder, broker=True, partitions=None, script=None, name="sandbox", arguments=()):
        command = [binary("handoff-sandbox"), *([] if broker else ["--no-broker"])]
        if partitions:
            command += ["--partitions", partitions]
        if script is not None:
            path = folder / f"{name}.script"
            path.write_text(script)
            command += ["--script", path]
        super().__init__(name, [*command, *arguments], folder)
        self.base_url = self._said("base_url")
        self.bootstrap = self._said("bootstrap.servers") if broker else None

    def _said(self, key):
        def line():
            self.check_alive()
            lines = self.stdout().split("\n")[:-1]
            return next((text.split("=", 1)[1] for text in lines if text.startswith(key + "=")), None)
        return wait_until(line, 20, f"{self.name} to say {key}=")

    def control(self, method, path, body=None):
        """A call of the control API below /_sim/; returns the reply's text."""
        origin = "/".join(self.base_url.split("/")[:3])
        call = urllib.request.Request(f"{origin}/_sim/{path}", method=method,
                                      data=None if body is None else body.encode())
        try:
            with urllib.request.urlopen(call, timeout=10) as reply:
                return reply.read().decode()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} /_sim/{path}: {error.code} {error.read().decode()}") from None

    def script(self, *lines):
        """Script lines take effect from the next call on; all or none."""
        self.control("POST", "script", "\n".join(lines) + "\n")

    def reset(self):
        """As freshly started: no sessions, no rules, an empty book."""
        self.control("POST", "reset", "")

    def book(self, session=None):
        """Totals of all calls, or what was done to one session."""
        query = f"?session={urllib.parse.quote(session, safe='')}" if session is not None else ""
        return json.loads(self.control("GET", f"book{query}"))

    def calls_since(self, since):
        """(the calls from that number on in the order of arrival, the number of the next)"""
        found = []
        while True:
            page = [json.loads(line) for line in self.control("GET", f"calls?since={since}&limit={PAGE}").splitlines()]
            if not page:
                return found, since
            found += page
            since = page[-1]["seq"] + 1

    def calls(self, step=None, session=None):
        """Every call in the order of arrival: step, session, ms, status, executed, headers, body, ..."""
        return [call for call in self.calls_since(0)[0]
                if step in (None, call["step"]) and session in (None, call["session"])]
