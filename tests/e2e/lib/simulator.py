"""The embedded broker and the Cognigy simulator: handoff-sandbox, its script, and the book of what it saw."""
import json
import urllib.request

from lib.process import Process, binary, wait_until


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
        """A call of the control API; JSON replies come back as values."""
        origin = "/".join(self.base_url.split("/")[:3])
        call = urllib.request.Request(origin + path, method=method, data=body and body.encode())
        with urllib.request.urlopen(call, timeout=10) as reply:
            text = reply.read().decode()
            return json.loads(text) if "json" in (reply.headers["content-type"] or "") else text
