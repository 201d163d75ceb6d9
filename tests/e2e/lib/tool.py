"""handoffctl, with a configuration that names a test's topics."""
import json
import subprocess

from lib.process import binary
from lib.worker import config_text

QUEUE = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"


class Tool:
    """Runs handoffctl with -c; `settings` are further sections of its configuration."""

    def __init__(self, folder, bootstrap, topics, **settings):
        self.path = folder / "handoffctl.conf"
        self.path.write_text(config_text({"kafka": {
            "brokers": bootstrap, "group": topics.group, "requests": [topics.requests], "retry": topics.retry,
            "outcomes": topics.outcomes, "dead_letters": topics.dead_letters}, **settings}))

    def run(self, command, *words, data=None, timeout=90):
        return subprocess.run([binary("handoffctl"), command, "-c", str(self.path), *map(str, words)], input=data,
                              capture_output=True, text=True, timeout=timeout, check=False)

    def json(self, command, *words, code=0, **more):
        """What it says with --json; fails when it ends otherwise than with `code`."""
        done = self.run(command, "--json", *words, **more)
        assert done.returncode == code, f"{command} ended with {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)
