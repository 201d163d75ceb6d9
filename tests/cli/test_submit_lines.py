"""handoffctl submit: what a file may hold, and the sentence for each line that does not fit."""
import json
import re

import pytest

from lib import free_port
from test_handoffctl import QUEUE, ctl, lines, requests


def test_every_bad_line_is_named_and_nothing_is_sent():
    data = lines({"sessionId": "s1", "queueId": QUEUE, "handoffId": "a"}) + "\n" + \
        lines({"sessionId": "s2"}, {"sessionId": "s3", "queueId": QUEUE, "handoffId": "a"}) + "{oops}\n" + \
        lines({"sessionId": "", "queueId": QUEUE})
    # A closed port: an attempt to send would say something else.
    done = ctl("submit", "-b", f"127.0.0.1:{free_port()}", data=data)
    said = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ", 1)[0] for line in said] == ["stdin:3", "stdin:4", "stdin:5", "stdin:6", "handoffctl"]
    assert "queueId" in said[0] and said[1] == 'stdin:4: the handoffId "a" is that of line 1 too'
    assert "JSON" in said[2] and "sessionId" in said[3]
    assert said[4] == "handoffctl: nothing was sent: 4 of 5 lines are not valid; mend them and run it again"


def test_no_more_than_ten_bad_lines_are_told():
    done = ctl("submit", "--dry-run", data="x\n" * 30)
    assert len(done.stderr.splitlines()) == 11
    assert done.stderr.endswith("handoffctl: nothing was sent: 30 of 30 lines are not valid; mend them and run it again\n")


def test_ids_are_put_in_where_they_are_missing():
    data = '{ "sessionId":"s1","queueId":"%s", "n" : 18446744073709551616, "handoffId":null }\r\n\n' % QUEUE + \
        '{"sessionId":"s2","queueId":"%s","handoffId":"mine","batchId":"ours"}\n{"sessionId":"s3","type":"cancel"}' % QUEUE
    done = ctl("submit", "--dry-run", "--batch", "b 1", data=data)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        '{"sessionId":"s1","queueId":"%s","n":18446744073709551616,"handoffId":"b 1-1","batchId":"b 1"}' % QUEUE,
        '{"sessionId":"s2","queueId":"%s","handoffId":"mine","batchId":"ours"}' % QUEUE,
        '{"sessionId":"s3","type":"cancel"}']


def test_without_a_batch_a_random_one_is_used():
    one, two = (json.loads(ctl("submit", "--dry-run", data=requests(1)).stdout) for _ in range(2))
    assert re.fullmatch(r"[0-9a-f-]{36}", one["batchId"]) and one["handoffId"] == one["batchId"] + "-1"
    assert one["batchId"] != two["batchId"]


def test_a_byte_order_mark_is_passed_over():
    done = ctl("submit", "-b", "127.0.0.1:1", "--dry-run", "--batch", "b", data="\ufeff" + requests(2))
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["handoffId"] for line in done.stdout.splitlines()] == ["b-1", "b-2"]
    twice = ctl("submit", "-b", "127.0.0.1:1", "--dry-run", data=requests(1) + "\ufeff" + requests(1))
    assert twice.returncode == 2 and twice.stderr.startswith("stdin:2: "), "only at the very beginning"


def test_a_field_that_is_given_twice_is_named():
    line = requests(1).replace('{', '{"note":1,"no\\u0074e":2,', 1)
    done = ctl("submit", "-b", "127.0.0.1:1", "--dry-run", data=line)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == 'stdin:1: the field "note" is given twice: leave one of them'


def test_csv():
    data = '\ufeffsessionId,queueId,ttlMs,metadata.name,metadata.note\r\n' \
           f's1,{QUEUE},5000,"Doe, ""J"".","two\nlines"\r\n\r\n"s2",{QUEUE},,,\n'
    done = ctl("submit", "--csv", "--dry-run", "--batch", "b", data=data)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"sessionId": "s1", "queueId": QUEUE, "ttlMs": 5000, "metadata": {"name": 'Doe, "J".', "note": "two\nlines"},
         "handoffId": "b-2", "batchId": "b"},
        {"sessionId": "s2", "queueId": QUEUE, "handoffId": "b-5", "batchId": "b"}]


def test_csv_of_a_cognigy_ai_tenant():
    data = "sessionId,userId,target.type,urlToken,metadata.value,target.value\n" \
           f"s1,u 1,queue,t1,,{QUEUE}\ns2,u2,sip,t2,x,sip:desk@sbc.example\ns3,u3,tel,t3,,+4930123456789\n"
    done = ctl("submit", "--csv", "--dry-run", "--batch", "b", data=data)
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"sessionId": f"s{number}", "userId": user, "urlToken": f"t{number}", "target": {"type": kind, "value": value}, **more,
         "handoffId": f"b-{number + 1}", "batchId": "b"}
        for number, user, kind, value, more in [(1, "u 1", "queue", QUEUE, {}),
                                                (2, "u2", "sip", "sip:desk@sbc.example", {"metadata": {"value": "x"}}),
                                                (3, "u3", "tel", "+4930123456789", {})]]


@pytest.mark.parametrize("data, sentence", [
    ("", "1: there is no header line"),
    (f"Ann,{QUEUE}\n", "1: the first line is no header, for none of its columns is one of sessionId, queueId, "),
    ("sessionId,queue\n", '1: column 2, "queue", is none of sessionId, queueId, target.type, target.value, userId, '
                          "urlToken, handoffId, tenant, priority, deadline, ttlMs, batchId, type and metadata.NAME"),
    ("sessionId,target\n", '1: column 2, "target", is none of '), ("sessionId,target.name\n", '1: column 2, "target.name", is '),
    ("sessionId,target.type,target.value\ns1,queue,a1\n",
     "2: target.value must be a UUID, for target.type is queue"),
    ("sessionId,target.value\ns1,+4930123456\n", "2: target.type must be queue, sip or tel"),
    ("sessionId,target.type,target.value\ns1,,\n", "2: queueId is missing"),
    (f"sessionId,queueId,urlToken\n\ns1,{QUEUE},..\n", "3: urlToken must be 1 to 256 bytes without control characters, and "
                                                       "neither . nor .."),
    ("sessionId,sessionId\n", '1: columns 1 and 2 are both "sessionId"'),
    ("sessionId,queueId\ns1\n", "2: the row has 1 cells, the header 2"),
    ('sessionId,queueId\n"s1\n', "2: a quote is not closed"),
    ('sessionId,queueId\n"s1"x,y\n', "2: something follows a closing quote; a quote within quotes is doubled"),
    (f"sessionId,queueId,ttlMs\n\ns1,{QUEUE},soon\n", "3: ttlMs"),
])
def test_bad_csv(data, sentence):
    done = ctl("submit", "--csv", "--dry-run", data=data)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith(f"stdin:{sentence}")


def test_tenants_of_the_configuration(folder):
    path = folder / "h.conf"
    path.write_text('tenants = ( { name = "acme"; }, { name = "globex"; } );\n')
    done = ctl("submit", "-c", path, "--dry-run", data=requests(1) + requests(1, tenant="nobody") +
               requests(1, tenant="acme"))
    assert done.stderr.splitlines()[:2] == ['stdin:1: field "tenant" is missing: there are several tenants',
                                            'stdin:2: there is no tenant "nobody"']
    assert done.stderr.endswith("2 of 3 lines are not valid; mend them and run it again\n")


def test_what_the_tenant_s_profile_needs(folder):
    """As the worker would reject it, but before it is sent; without the worker's configuration nobody knows."""
    path = folder / "h.conf"
    path.write_text('tenants = ( { name = "ai"; profile = "cognigy-ai"; }, { name = "seed"; } );\n')
    user = {"tenant": "ai", "userId": "u", "urlToken": "t"}
    sip = {"queueId": None, "target": {"type": "sip", "value": "sip:desk@sbc.example"}}
    data = requests(1, **user) + requests(1, tenant="ai", userId="u") + requests(1, tenant="ai", urlToken="t") + \
        requests(1, **user, **sip) + requests(1, tenant="seed", **sip) + requests(1, tenant="seed") + \
        lines({"sessionId": "s", "type": "cancel", "tenant": "ai"})
    assert ctl("submit", "--dry-run", data=data).returncode == 0
    done = ctl("submit", "-c", path, "--dry-run", data=data)
    assert done.returncode == 2 and done.stderr.splitlines()[:-1] == [
        "stdin:2: urlToken is missing: the tenant's profile cognigy-ai needs it",
        "stdin:3: userId is missing: the tenant's profile cognigy-ai needs it",
        "stdin:5: target.type must be queue: the tenant's profile seed-v1 knows no other"]
    path.write_text('cognigy = { flow_path = "/flow/{userId}/{urlToken}"; };\n')
    done = ctl("submit", "-c", path, "--dry-run", data=requests(1) + requests(1, userId="u"))
    assert done.returncode == 2 and done.stderr.splitlines()[:-1] == [
        "stdin:1: userId is missing: the tenant's flow_path needs it",
        "stdin:2: urlToken is missing: the tenant's flow_path needs it"]
    path.write_text('cognigy = { profile = "cognigy-ai"; };\n')
    done = ctl("submit", "-c", path, "--dry-run", data=requests(1))
    assert done.returncode == 2 and done.stderr.startswith("stdin:1: userId is missing")
