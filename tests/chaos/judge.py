"""What a run has to have kept. Nothing here asks anybody: the figures come in, sentences about what is broken go out."""
import collections
import itertools

# One session is handed over once. When two requests asked for it, the second is told so.
FINE = {("completed", "ok"), ("initiated", "transfer.unconfirmed")}
SECOND = FINE | {("duplicate", "session.already_transferring"), ("failed", "session.ended")}
SHOWN = 5


def some(things):
    shown = ", ".join(map(str, things[:SHOWN]))
    return shown + (f" and {len(things) - SHOWN} more" if len(things) > SHOWN else "")


def lost(asked, outcomes):
    return sorted(asked - outcomes.keys())


def doubled(outcomes):
    return [name for name, said in outcomes.items() if len(said) > 1]


def strange(outcomes):
    """Outcomes that no disturbance excuses."""
    by_session = collections.defaultdict(list)
    for said in outcomes.values():
        by_session[said[0]["sessionId"]].append(said[0])
    found = []
    for of_session in by_session.values():
        allowed = FINE if len(of_session) == 1 else SECOND
        wrong = [o for o in of_session if (o["status"], o["reason"]) not in allowed]
        if not wrong and not any((o["status"], o["reason"]) in FINE for o in of_session):
            wrong = of_session  # each says that the other one did it
        found += [f"{o['handoffId']} {o['status']}, {o['reason']}" for o in wrong]
    return found


def ended(call):
    """When it was executed, in ms: as it was answered."""
    return call["ms"] + call["tookUs"] / 1000


def triggered_twice(calls):
    """The sessions in which more than one trigger was executed, each with its calls."""
    by_session = collections.defaultdict(list)
    for call in calls:
        by_session[call["session"]].append(call)
    return {session: of_session for session, of_session in by_session.items() if len(executed(of_session, "trigger")) > 1}


def executed(calls, step):
    return sorted((call for call in calls if call["step"] == step and call["executed"]), key=ended)


def is_overtaken(calls):
    """Was this session handed over again and again only because each time an update that its worker had given up was executed
    behind the trigger, and undid it? No worker can call such a call back: counted apart."""
    triggers = executed(calls, "trigger")
    late = [update for update in executed(calls, "update") if update["vanished"]]
    return all(any(update["ms"] <= ended(first) <= ended(update) <= second["ms"] for update in late)
               for first, second in itertools.pairwise(triggers))


def verdict(asked, outcomes, book, verified, trouble):
    """asked: the ids; outcomes: handoffId -> what a read_committed reader found of it; book: the simulator's, and how
    many sessions were overtaken; verified: what `handoffctl verify` counts, without zeros; trouble: what went wrong on the
    way."""
    broken = list(trouble)
    for names, what in ((lost(asked, outcomes), "have no outcome"), (doubled(outcomes), "have more than one outcome"),
                        (sorted(outcomes.keys() - asked), "were never asked for"),
                        (strange(outcomes), "ended as they must not")):
        if names:
            broken.append(f"{len(names)} requests {what}: {some(names)}")
    if verified != {"done": len(asked)}:
        broken.append(f"handoffctl verify counts {verified}, not {len(asked)} done and nothing else")
    if book["mostAtOnce"] > 1:
        broken.append(f"a session had {book['mostAtOnce']} calls of living clients at once")
    twice = book["sessionsTriggeredTwice"] - book["overtaken"]
    if twice:
        broken.append(f"{twice} sessions were triggered twice")
    return broken
