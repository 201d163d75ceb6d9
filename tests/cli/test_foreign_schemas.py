"""What lies in config/ for other programs, held against their own schemas: Kubernetes', KEDA's, Grafana's, Compose's. They
come as Python packages into an environment of their own; where those cannot be had, the test is skipped."""
import hashlib
import os
import pathlib
import subprocess

import pytest

from lib import PROJECT

PACKAGES = ["kubernetes-validate==1.37.0", "cloudcoil==0.6.0", "cloudcoil.models.keda==2.16.1.0",
            "grafana-foundation-sdk==1769699998!10.1.0", "compose-spec==0.2.1", "PyYAML==6.0.4"]
CACHE = pathlib.Path(os.environ.get("HANDOFF_CACHE", PROJECT / ".cache"))
PLACE = CACHE / f"schemas-{hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]}"


@pytest.fixture(name="python")
def python_with_schemas():
    python = PLACE / "bin" / "python"
    if not (PLACE / "complete").exists():
        for command in (["/usr/bin/python3", "-m", "venv", "--clear", PLACE],
                        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode != 0:
                pytest.skip("the schemas cannot be had here: " + (done.stderr.strip() or "no reason").splitlines()[-1])
        (PLACE / "complete").touch()
    return python


@pytest.mark.long
@pytest.mark.limit(600)
def test_what_others_say(python):
    done = subprocess.run([python, pathlib.Path(__file__).with_name("foreign_schemas.py")], capture_output=True, text=True,
                          timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stdout + done.stderr
