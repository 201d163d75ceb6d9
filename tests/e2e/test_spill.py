"""The retry topic never blocks: a full window is spilled, what is due soon passes what is due late."""
import pytest

from lib import produce, read_all, request

LATE = 400
WINDOW = 64


@pytest.mark.limit(180)
@pytest.mark.sandbox(partitions=2, script='on fetch session=soon reply 409 header="Retry-After: 4" times=1\n'
                                          f'on fetch reply 409 header="Retry-After: 25" times={LATE}\n')
def test_short_wait_passes_a_window_full_of_long_ones(broker, topics, worker):
    w = worker(worker={"window": WINDOW})
    late = [{"key": b"late-%d" % n, "value": request(f"late-{n}", handoffId=f"late-{n}"), "partition": 0}
            for n in range(LATE)]
    produce(broker.bootstrap, topics.requests, late)
    read_all(broker.bootstrap, topics.retry, LATE)
    produce(broker.bootstrap, topics.requests, [{"key": b"soon", "value": request("soon", handoffId="soon"),
                                                 "partition": 0}])
    first, *_ = read_all(broker.bootstrap, topics.outcomes, 1)
    assert first.json()["handoffId"] == "soon" and first.json()["attempts"] == 2
    fetches = [call["ms"] for call in broker.simulator.calls("fetch", "soon")]
    assert 4000 <= fetches[1] - fetches[0] < 12000
    outcomes = read_all(broker.bootstrap, topics.outcomes, LATE + 1, timeout=120)
    assert len({o.json()["handoffId"] for o in outcomes}) == len(outcomes) == LATE + 1
    assert {o.json()["attempts"] for o in outcomes} == {2}, "spilling is no attempt"
    assert w.metric("handoffd_spills_total") > 0
    book = broker.simulator.book()
    assert book["earlySameSession"] == 0 and book["steps"]["fetch"]["sent"] == 2 * (LATE + 1)
    for retry in read_all(broker.bootstrap, topics.retry):
        assert int(retry.header("handoff-attempt")) == 2
    w.stop_clean()
