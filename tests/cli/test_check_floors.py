"""scripts/check-floors finds each kind of violation, names its place, and leaves a clean house alone."""
import pathlib
import subprocess

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check-floors"

CLEAN = {
    "include/handoff/span.h": "struct span;\n",
    "src/base/buf.h": '#include <stddef.h>\n#include "handoff/span.h"\n',
    "src/base/log.h": "void log_line(void);\n",
    "src/json/scan.h": '#include "base/buf.h"\n',
    "src/json/scan.c": '#include <json-c/json.h>\n#include "json/scan.h"\n\nint scan(void)\n{\n\treturn 0;\n}\n',
    "src/rules/gate.h": '#include "json/scan.h"\n',
    "src/rules/gate.c": '#include "rules/gate.h"\n#include <zlib.h>\n',
    "src/doors/http.h": '#include "rules/gate.h"\n/* drives a CURL handle */\nconst char *http_kind(void);\n',
    "src/doors/http.c": '#include "doors/http.h"\n#include "doors/http_wire.h"\n',
    "src/doors/http_wire.h": "#include <curl/curl.h>\nCURL *http_wire(void);\n",
    "src/doors/http_server.c": "#include <microhttpd.h>\n",
    "src/doors/kafka_producer.c": "#include <librdkafka/rdkafka.h>\n",
    "src/doors/settings.c": "#include <libconfig.h>\n",
    "src/doors/notify.c": "#include <systemd/sd-daemon.h>\n",
    "src/worker/main.c": '#include "doors/http.h"\n#include "base/log.h"\n#include <sys/epoll.h>\n',
    "src/ctl/main.c": "#include <json-c/json.h>\n",
    "src/sandbox/broker.c": "#include <librdkafka/rdkafka_mock.h>\n",
    "tests/unit/test_gate.c": '#include <cmocka.h>\n#include "rules/gate.h"\n#include "helper.h"\n',
    "tests/unit/helper.h": "\n",
    "tests/component/test_http.c": "#include <curl/curl.h>\n",
    "scripts/demo": "#!/bin/sh\n",
}


def function(name, lines):
    return f"int {name}(void)\n{{\n" + "\tcall();\n" * (lines - 4) + "\treturn 0;\n}\n"


def not_its_door(place, header, library):
    return [f"{place}:1: <{header}> is {library}'s and may only be included by its door"]


# (what, files that are added or replaced, the lines that must be printed)
VIOLATIONS = [
    ("a floor above", {"src/rules/x.c": '\n#include "doors/http.h"\n'},
     ["src/rules/x.c:2: src/rules includes src/doors/http.h, which is a floor above it"]),
    ("the ground floor upwards", {"include/handoff/x.h": '#include "base/buf.h"\n'},
     ["include/handoff/x.h:1: include/handoff includes src/base/buf.h, which is a floor above it"]),
    ("a door into a program", {"src/doors/x.c": '#include "worker/w.h"\n', "src/worker/w.h": "\n"},
     ["src/doors/x.c:1: src/doors includes src/worker/w.h, which is a floor above it"]),
    ("one program from another", {"src/ctl/x.c": '#include "worker/w.h"\n', "src/worker/w.h": "\n"},
     ["src/ctl/x.c:1: src/ctl includes src/worker/w.h: programs share nothing but the floors below"]),
    ("a folder that is no floor", {"src/attic/x.c": '#include "base/buf.h"\n'},
     ["src/attic/x.c:1: src/attic is no floor of this house"]),
    ("the house knows its tests", {"src/worker/x.c": '#include "../tests/unit/helper.h"\n'},
     ["src/worker/x.c:1: src/worker includes tests/unit/helper.h: the house does not know its tests"]),
    ("logging below", {"src/doors/x.c": "void f(void)\n{\n\tlog_write(LOG_ERROR);\n}\n"},
     ["src/doors/x.c:3: log_write() on a floor: only the programs log and end"]),
    ("ending below", {"src/base/x.c": "void f(void)\n{\n\texit(1);\n}\n"},
     ["src/base/x.c:3: exit() on a floor: only the programs log and end"]),
    ("beside instead of from src/", {"src/base/x.c": '#include "buf.h"\n'},
     ['src/base/x.c:1: #include "buf.h": write it from src/: "base/buf.h"']),
    ("nothing there", {"src/base/x.c": '#include "base/nothing.h"\n'},
     ['src/base/x.c:1: #include "base/nothing.h": there is no such file']),
    ("librdkafka outside", {"src/worker/x.c": "#include <librdkafka/rdkafka.h>\n"},
     not_its_door("src/worker/x.c", "librdkafka/rdkafka.h", "librdkafka")),
    ("the mock in a door", {"src/doors/kafka_x.c": "#include <librdkafka/rdkafka_mock.h>\n"},
     not_its_door("src/doors/kafka_x.c", "librdkafka/rdkafka_mock.h", "librdkafka")),
    ("curl in the server", {"src/doors/http_server.c": "#include <curl/curl.h>\n"},
     not_its_door("src/doors/http_server.c", "curl/curl.h", "libcurl")),
    ("the server's library in the client", {"src/doors/http_x.c": "#include <microhttpd.h>\n"},
     not_its_door("src/doors/http_x.c", "microhttpd.h", "libmicrohttpd")),
    ("libconfig outside", {"src/ctl/x.c": "#include <libconfig.h>\n"},
     not_its_door("src/ctl/x.c", "libconfig.h", "libconfig")),
    ("json-c in a door", {"src/doors/http_x.c": "#include <json-c/json.h>\n"},
     not_its_door("src/doors/http_x.c", "json-c/json.h", "json-c")),
    ("zlib outside", {"src/base/x.c": "#include <zlib.h>\n"},
     not_its_door("src/base/x.c", "zlib.h", "zlib")),
    ("systemd outside", {"src/worker/x.c": "#include <systemd/sd-daemon.h>\n"},
     not_its_door("src/worker/x.c", "systemd/sd-daemon.h", "libsystemd")),
    ("cmocka in the house", {"src/base/x.c": "#include <cmocka.h>\n"},
     not_its_door("src/base/x.c", "cmocka.h", "cmocka")),
    ("a library in a unit test", {"tests/unit/test_x.c": "#include <curl/curl.h>\n"},
     not_its_door("tests/unit/test_x.c", "curl/curl.h", "libcurl")),
    ("a library of nobody", {"src/base/x.c": "#include <openssl/ssl.h>\n"},
     ["src/base/x.c:1: <openssl/ssl.h> belongs to no library of this house"]),
    ("a library's type in a door's header", {"src/doors/http.h": "#include <stddef.h>\n\nCURL *http_kind(void);\n"},
     ["src/doors/http.h:3: a door's header names CURL, and src/worker/main.c includes it"]),
    ("through another header", {"src/doors/http.h": '#include "doors/http_wire.h"\n'},
     ["src/doors/http_wire.h:1: a door's header includes <curl/curl.h>, and src/worker/main.c includes it",
      "src/doors/http_wire.h:2: a door's header names CURL, and src/worker/main.c includes it"]),
    ("a circle of two", {"src/json/a.h": "\n", "src/json/a.c": '\n\n#include "json/b.h"\n',
                         "src/json/b.h": '#include "json/a.h"\n'},
     ["src/json/a.c:3: modules need one another in a circle: a -> b -> a"]),
    ("a circle of three", {"src/rules/a.h": '#include "rules/b.h"\n', "src/rules/b.h": '#include "rules/c.h"\n',
                           "src/rules/c.h": '#include "rules/a.h"\n'},
     ["src/rules/a.h:1: modules need one another in a circle: a -> b -> c -> a"]),
    ("a circle of headers in a family", {"src/json/a.h": '#include "json/a_more.h"\n',
                                         "src/json/a_more.h": '#include "json/a.h"\n'},
     ["src/json/a.h:1: headers include one another in a circle: a.h -> a_more.h -> a.h"]),
    ("a long function", {"src/base/x.c": "int a;\n\n" + function("long_one", 61)},
     ["src/base/x.c:3: long_one has 61 lines; at most 60 are allowed"]),
    ("its signature counts", {"src/base/x.c": "static\n" + function("long_one", 60)},
     ["src/base/x.c:1: long_one has 61 lines; at most 60 are allowed"]),
    ("a long file", {"src/base/x.c": "int a;\n" * 501},
     ["src/base/x.c:501: the file has 501 lines; at most 500 are allowed"]),
    ("a long script", {"scripts/x": "\n" * 501},
     ["scripts/x:501: the file has 501 lines; at most 500 are allowed"]),
]

FINE = [
    ("nothing more", {}),
    ("a comment", {"src/rules/x.c": '/*\n#include "doors/http.h"\n*/\n// #include <curl/curl.h>\n'}),
    ("just long enough", {"src/base/x.c": function("long_one", 60), "src/base/y.c": "int a;\n" * 500}),
    ("long initialisers", {"src/base/x.c": "struct s table = {\n" + "\t1,\n" * 80 + "};\n"}),
    ("levels below", {"src/doors/settings.c": '#include "base/log.h"\nint a = log_level_by_name("x"); // exit(1)\n'}),
    ("one family", {"src/json/a.c": '#include "json/a_more.h"\n', "src/json/a_more.h": '#include "json/a.h"\n',
                    "src/json/a.h": "\n"}),
    ("the log itself", {"src/base/log.c": '#include "base/log.h"\nvoid log_write(int level)\n{\n}\n'}),
    ("braces in strings", {"src/base/x.c": 'const char *s = "\\"{";\n\n' + function("long_one", 60)}),
]


def run(root):
    done = subprocess.run([SCRIPT, root], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.fixture
def house(tmp_path):
    def build(files):
        for name, text in {**CLEAN, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path
    return build


def test_this_project_passes():
    code, lines = run(SCRIPT.parents[1])
    assert (code, lines[-1]) == (0, "floors: 0 violations"), "\n".join(lines)


@pytest.mark.parametrize("files", [f[1] for f in FINE], ids=[f[0] for f in FINE])
def test_what_is_fine(house, files):
    code, lines = run(house(files))
    assert (code, lines[-1]) == (0, "floors: 0 violations"), "\n".join(lines)


@pytest.mark.parametrize("files, expected", [v[1:] for v in VIOLATIONS], ids=[v[0] for v in VIOLATIONS])
def test_violation(house, files, expected):
    code, lines = run(house(files))
    found = [line for line in lines[:-1] if " functions outside tests/: " not in line]
    assert (code, found) == (1, expected)
    assert lines[-1] == f"floors: {len(expected)} violations"


def test_median_is_printed(house):
    _, lines = run(house({"src/base/x.c": function("f", 10), "src/base/y.c": function("g", 20)}))
    assert "3 functions outside tests/: median 10 lines, longest 20 (g, src/base/y.c:1)" in lines[0]


def test_wrong_usage(tmp_path):
    done = subprocess.run([SCRIPT, tmp_path], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"scripts/check-floors: there is no folder src in {tmp_path}\n"
