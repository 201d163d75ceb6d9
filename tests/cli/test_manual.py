"""The man pages: as the programs have it, clean for roff, and complete."""
import re
import shutil
import subprocess

import pytest

from lib import PROJECT, binary, script

PAGES = sorted(path for path in PROJECT.glob("src/*/*") if path.suffix in (".1", ".5", ".8"))


def test_the_generated_parts_are_as_the_programs_have_it():
    done = subprocess.run([script("manual"), "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_roff_has_nothing_to_warn_of(page):
    done = subprocess.run(["groff", "-mandoc", "-ww", "-Tutf8", "-z", page], capture_output=True, text=True, timeout=60,
                          check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("mandoc"), reason="the Debian package mandoc is not installed")
@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_mandoc_has_nothing_to_warn_of(page):
    """But for the length of the source's lines, and pages that are not installed."""
    done = subprocess.run(["mandoc", "-T", "lint", page], capture_output=True, text=True, timeout=60, check=False)
    said = [line for line in (done.stdout + done.stderr).splitlines()
            if "longer than 80 bytes" not in line and "referenced manual not found" not in line]
    assert said == []


def test_every_reason_is_listed():
    table = (PROJECT / "src/rules/reason.c").read_text()
    reasons = set(re.findall(r'\[REASON_\w+\]\s*=\s*\{\s*"([a-z._]+)"', table))
    page = (PROJECT / "src/ctl/handoffctl.1").read_text()
    listed = page[page.index(".SH REASONS"):page.index(".SH EXIT STATUS")]
    assert len(reasons) > 15 and reasons <= set(re.findall(r"[a-z._]+", listed))


def words_of(program):
    """What its --help lists: (commands, options of the whole, options of each command)"""
    def help_of(*words):
        return subprocess.run([binary(program), *words, "--help"], capture_output=True, text=True, timeout=20,
                              check=True).stdout
    whole = help_of()
    commands = re.findall(r"^  ([a-z]+) ", whole, re.M) if program == "handoffctl" else []
    options = {command: set(re.findall(r"^ .*?(--[a-z-]+)", help_of(command), re.M)) for command in commands}
    return commands, set(re.findall(r"^ .*?(--[a-z-]+)", whole, re.M)), options


def completion(program, shell):
    done = subprocess.run([binary(program), f"--help={shell}"], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


def completed(program, *typed):
    """What bash offers behind these words."""
    words = " ".join(f"'{word}'" for word in (program, *typed))
    line = f'COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _{program.replace("-", "_")}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", completion(program, "bash") + line], capture_output=True, text=True, timeout=20,
                          check=True, cwd=PROJECT)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("program", ["handoffd", "handoffctl", "handoff-sandbox"])
def test_bash_completes_what_help_lists(program):
    commands, whole, options = words_of(program)
    if not commands:
        assert completed(program, "--") == whole and len(whole) > 3
    else:
        assert completed(program, "") == {*commands, "--help", "--version"}
    for command in commands:
        assert completed(program, command, "--") == options[command] and len(options[command]) >= 5
    file_option = {"handoff-sandbox": "--script"}.get(program, "--config")
    assert completed(program, *commands[:1], file_option, "READ") == {"README.md"}
    assert completed(program, *commands[:1], file_option, "--") == set()


def test_bash_completes_the_file_to_submit():
    assert completed("handoffctl", "submit", "READ") == {"README.md"}
    assert completed("handoffctl", "explain", "READ") == set()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("program", ["handoffd", "handoffctl", "handoff-sandbox"])
def test_other_shells_know_every_option(program, shell):
    text = completion(program, shell)
    commands, whole, options = words_of(program)
    for option in set().union(whole if not commands else set(), *options.values()):
        assert (f"'{option}[" if shell == "zsh" else f"-l {option[2:]} ") in text or f"'*{option}[" in text
    if shutil.which(shell):
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, timeout=20, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words, sentence", [
    (["handoffd", "--help=html"], '--help has no form "html"; there are man, settings, bash, zsh and fish'),
    (["handoffd", "--chek"], "there is no option --chek; see handoffd --help"),
    (["handoffd", "-c"], "--config needs a value, FILE; see handoffd --help"),
    (["handoffd", "now"], 'takes no "now"; see handoffd --help'),
    (["handoff-sandbox", "--partitions", "0"],
     '--partitions takes a whole number from 1 on, not "0"; see handoff-sandbox --help'),
    (["handoff-sandbox", "--partitions", "1001"], "--partitions takes at most 1000, not 1001"),
    (["handoff-sandbox", "--http-port", "65536"], "--http-port takes at most 65535, not 65536"),
    (["handoff-sandbox", "--help=man"], '--help has no form "man"; there are mdoc, bash, zsh and fish'),
    (["handoff-sandbox", "x"], 'takes no "x"; see handoff-sandbox --help'),
    (["handoffctl", "--help=html"], '--help has no form "html"; there are man, bash, zsh and fish'),
])
def test_wrong_usage_is_said_in_one_sentence(words, sentence):
    done = subprocess.run([binary(words[0]), *words[1:]], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{words[0]}: {sentence}\n")


def test_every_setting_is_in_its_page():
    page = (PROJECT / "src/worker/handoffd.conf.5").read_text()
    for key in re.findall(r"^\s*#?\s*([a-z_]+)\s*=", (PROJECT / "config/handoffd.conf").read_text(), re.M):
        assert f".B {key}\n" in page or f".SS {key}\n" in page, f"handoffd.conf(5) has no {key}"
