"""The man pages: as the programs have it, clean for roff, and complete."""
import re
import subprocess

import pytest

from lib import PROJECT, script

PAGES = sorted(path for path in PROJECT.glob("src/*/*") if path.suffix in (".1", ".5", ".8"))


def test_the_generated_parts_are_as_the_programs_have_it():
    done = subprocess.run([script("manual"), "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_roff_has_nothing_to_warn_of(page):
    done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", "-z", page], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_reason_is_listed():
    table = (PROJECT / "src/rules/reason.c").read_text()
    reasons = set(re.findall(r'\[REASON_\w+\]\s*=\s*\{\s*"([a-z._]+)"', table))
    page = (PROJECT / "src/ctl/handoffctl.1").read_text()
    listed = page[page.index(".SH REASONS"):page.index(".SH EXIT STATUS")]
    assert len(reasons) > 15 and reasons <= set(re.findall(r"[a-z._]+", listed))
