"""The Debian package: built, judged by lintian, installed, started, upgraded, removed and purged.

All of that happens in a copy of this machine: an overlay over its root in a mount namespace of its own, gone with the
test. It has no systemd running: the unit is judged in tests/e2e/test_service.py, here its command line is run by hand."""
import os
import shutil
import subprocess

import pytest

from lib import Sandbox, free_port, script, wait_until
from lib.process import Process

COPY = """
set -eu
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
exec chroot "$1/root" /bin/sh -eu
"""


def can_copy():
    if os.getuid() != 0 or not shutil.which("unshare"):
        return False
    with_copy = ("mount -t tmpfs t /mnt && mkdir /mnt/u /mnt/w /mnt/r && "
                 "mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r")
    return subprocess.run(["unshare", "-m", "sh", "-c", with_copy], capture_output=True, check=False).returncode == 0


pytestmark = [pytest.mark.long, pytest.mark.limit(600)]


@pytest.fixture(scope="module", name="package")
def built_package():
    done = subprocess.run([script("package")], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=550,
                          check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_it_holds_what_a_package_needs(package):
    names = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout
    names = subprocess.run(["tar", "-t"], input=names, capture_output=True, check=True).stdout.decode().split()
    for name in ("usr/bin/handoffd", "usr/bin/handoffctl", "usr/lib/systemd/system/handoffd.service",
                 "etc/handoffd/handoffd.conf", "usr/share/man/man8/handoffd.8.gz", "usr/share/man/man5/handoffd.conf.5.gz",
                 "usr/share/bash-completion/completions/handoffctl", "usr/share/fish/vendor_completions.d/handoffd.fish",
                 "usr/share/zsh/vendor-completions/_handoffctl", "usr/share/man/man1/handoffctl.1.gz",
                 "usr/share/doc/handoffd/copyright", "usr/share/doc/handoffd/changelog.gz"):
        assert f"./{name}" in names


@pytest.mark.skipif(not shutil.which("lintian"), reason="lintian is not installed")
def test_lintian_finds_nothing(package):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", package], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


class Machine:
    """A shell in a copy of this machine."""

    def __init__(self, folder):
        root = folder / "machine"
        root.mkdir()
        self.shell = subprocess.Popen(["unshare", "-m", "sh", "-c", COPY, "sh", root], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, command):
        """The exit code and the output."""
        self.shell.stdin.write(f"code=0; ( {command}\n) </dev/null || code=$?; echo; echo END-OF-COMMAND $code\n")
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            if line.startswith("END-OF-COMMAND "):
                return int(line.split()[1]), "".join(lines).rstrip("\n")
            lines.append(line)
        raise AssertionError("the shell has ended: " + "".join(lines))

    def must(self, command):
        code, output = self.run(command)
        assert code == 0, f"{command}: {output}"
        return output

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(30)


@pytest.fixture(name="machine")
def copied_machine(folder):
    if not can_copy():
        pytest.skip("needs root and an overlay file system")
    started = Machine(folder)
    yield started
    started.close()


def test_life_of_an_installation(machine, package, folder):
    machine.must(f"DEBIAN_FRONTEND=noninteractive dpkg -i '{package}'")
    assert machine.must("getent passwd handoffd").endswith(":/nonexistent:/usr/sbin/nologin")
    assert machine.must("stat -c '%U:%G %a' /etc/handoffd/handoffd.conf") == "root:handoffd 640"
    assert machine.must("handoffd --version") == "handoffd 0.1.0"
    assert machine.must("dpkg -V handoffd") == "", "every file is as it was packed"

    run_once(machine, folder)

    machine.must("echo '# ours' >>/etc/handoffd/handoffd.conf; touch /etc/handoffd/cognigy.secret")
    machine.must(f"DEBIAN_FRONTEND=noninteractive dpkg -i '{package}'")
    assert machine.must("tail -n 1 /etc/handoffd/handoffd.conf") == "# ours", "an upgrade keeps what was changed"
    assert machine.must("stat -c '%U:%G %a' /etc/handoffd/handoffd.conf") == "root:handoffd 640"

    machine.must("dpkg -r handoffd")
    assert machine.run("command -v handoffd")[0] != 0
    assert machine.must("ls /etc/handoffd") == "cognigy.secret\nhandoffd.conf", "a removal keeps the configuration"
    machine.must("dpkg -P handoffd")
    assert machine.run("ls -d /etc/handoffd")[0] != 0 and machine.run("getent passwd handoffd")[0] != 0
    left = machine.must("find /etc /usr /var/lib -xdev -path '*handoffd*' -not -path '/var/lib/dpkg/*'")
    assert left == "", "nothing is left behind"


def run_once(machine, folder):
    """As the unit would: that user, that command line, a secret from a file; ready, and a clean stop."""
    sandbox = Sandbox(folder)
    port = free_port()
    config = (f'kafka = {{ brokers = "{sandbox.bootstrap}"; delivery = "at-least-once"; }};\\n'
              f'cognigy = {{ base_url = "{sandbox.base_url}"; client_id = "{sandbox.client_id}"; }};\\n'
              f'admin = {{ listen = "127.0.0.1:{port}"; }};\\n')
    machine.must(f"printf '{config}' >/tmp/h.conf; printf '{sandbox.client_secret}' >/tmp/secret; chmod 644 /tmp/secret")
    machine.must("COGNIGY_CLIENT_SECRET_FILE=/tmp/secret setpriv --reuid handoffd --regid handoffd --clear-groups "
                 "handoffd -c /tmp/h.conf 2>/tmp/h.log & echo $! >/tmp/h.pid")
    answers = f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port} && printf \"GET /readyz HTTP/1.0\\r\\n\\r\\n\" >&3 && cat <&3'"
    wait_until(lambda: " 200 " in machine.run(answers)[1], 30, "the installed worker to be ready")
    machine.must("kill $(cat /tmp/h.pid)")
    wait_until(lambda: "stopped cleanly" in machine.must("cat /tmp/h.log"), 30, "a clean stop")
    machine.must("rm /tmp/h.*")
    Process.end_all()
