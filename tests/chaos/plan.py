"""What a run of chaos does, and when: drawn from one seed and nothing else, so that the same seed is the same plan.

    at      seconds after the load has begun
    track   "worker", "broker" or "cognigy": each track's steps are taken in their order
    verb    start NAME | kill NAME | freeze NAME | thaw NAME | leave NAME | broken N | mended N | script LINES | calm

A worker that is busy with one disturbance (frozen, just started) is not chosen for another; a kill in the middle of a
freeze is a disturbance of its own. The pool never has fewer than FEWEST nor more than MOST members, those that are down
for a moment counted. The steps end where the minutes do; by then everything is running again.
"""
import dataclasses
import random

FEWEST, MOST = 2, 6
BROKERS = 3
APART = 25  # seconds from a broker's return to the next one's death: less is a test of the cluster
LONGEST_CALL = 3  # seconds that the simulator keeps a call at most; below every session time-out

# What Cognigy does all the time, and what the pool has to live with for a few seconds.
CALM = ("rules clear", "limit off", "lock every=20 for=2s", "latency 10ms jitter=20ms", "on update reply 500 every=60",
        "on trigger drop after every=150")
TROUBLES = {
    "connections cut": lambda dice: [f"on any drop {dice.choice(('before', 'during', 'after'))} every={dice.randint(2, 6)}"],
    "triggers cut": lambda dice: [f"on trigger drop {dice.choice(('before', 'during', 'after'))} every={dice.randint(1, 3)}"],
    "slow": lambda dice: [f"on {dice.choice(('fetch', 'update', 'trigger'))} delay {LONGEST_CALL}s "
                          f"{dice.choice(('before', 'after'))} every={dice.randint(3, 10)}"],
    "login refused": lambda dice: ["on login reply 503", "token revoke"],
    "tenant down": lambda dice: ["on any drop before"],
    "tenant failing": lambda dice: ["on any reply 503 before"],
    "rate limit": lambda dice: [f"limit calls={dice.randint(20, 100)} per=1s kind=bucket retry-after=seconds"],
    "locks": lambda dice: [f"lock every={dice.randint(2, 5)} for={dice.randint(500, 3000)}ms"],
}


@dataclasses.dataclass(frozen=True)
class Step:
    at: float
    track: str
    verb: str
    what: str

    def __str__(self):
        return f"{self.at:7.1f} s  {self.track:8} {self.verb} {self.what}".rstrip()


@dataclasses.dataclass
class Plan:
    seed: int
    seconds: int
    session_timeout_ms: int
    first: list  # the workers that are there when the load begins
    static: set  # the names of those with static membership
    steps: list


def draw(seed, seconds):
    dice = random.Random(seed)
    # 6 s: a broker's death costs assignments; 15 s, the default: it does not, but a crashed worker's wait is longer.
    patience = dice.choice((6000, 15000))
    workers = Workers(random.Random(dice.random()), seconds, patience / 1000)
    steps = workers.steps() + brokers(random.Random(dice.random()), seconds) + cognigy(random.Random(dice.random()), seconds)
    return Plan(seed, seconds, patience, workers.first, workers.static, sorted(steps, key=lambda step: step.at))


class Workers:
    """The pool as the plan sees it: who is a member, and until when each is busy."""

    def __init__(self, dice, seconds, patience):
        self.dice, self.seconds, self.patience = dice, seconds, patience
        self.count, self.static, self.busy, self.found = 0, set(), {}, []
        self.first = [self.name(0) for _ in range(dice.randint(FEWEST, 4))]

    def name(self, at):
        self.count += 1
        name = f"w{self.count}"
        if self.dice.random() < 0.5:
            self.static.add(name)
        self.busy[name] = at + 2
        return name

    def add(self, at, verb, name):
        self.found.append(Step(round(at, 1), "worker", verb, name))

    def steps(self):
        now = 4.0
        while now < self.seconds - 1:
            free = sorted(name for name, until in self.busy.items() if until <= now)
            kinds = [self.grow] * 2 if len(self.busy) < MOST else []
            if free:
                kinds += [self.crash] * 7 + [self.freeze] * 3 + [self.crash_frozen]
                kinds += [self.shrink] * 2 if len(self.busy) > FEWEST else []
            if kinds:
                self.dice.choice(kinds)(now, self.dice.choice(free) if free else None)
            now += self.dice.uniform(1.5, 7)
        return self.found

    def grow(self, now, _):
        self.add(now, "start", self.name(now))

    def shrink(self, now, name):
        self.add(now, "leave", name)
        del self.busy[name]

    def crash(self, now, name):
        """Back under the same name, or another one in its place."""
        self.add(now, "kill", name)
        back = self.before_the_end(now + self.dice.choice((0, 0.2, 1, 1, 3, 8)))
        if self.dice.random() < 0.5:
            del self.busy[name]
            name = self.name(back)
        self.busy[name] = back + 2
        self.add(back, "start", name)

    def freeze(self, now, name, verb="thaw"):
        """For a moment, or beyond the session time-out; the longest also beyond that of a transaction, 20 s."""
        self.add(now, "freeze", name)
        end = self.before_the_end(now + self.dice.choice((1, 3, self.patience + 2, self.patience + 2, self.patience + 7)))
        self.busy[name] = end + 2
        self.add(end, verb, name)
        return end

    def crash_frozen(self, now, name):
        end = self.freeze(now, name, "kill")
        self.add(end, "start", name)

    def before_the_end(self, at):
        return min(at, float(self.seconds))


def brokers(dice, seconds):
    steps, at = [], dice.uniform(6, 16)
    while True:
        back = at + dice.uniform(4, 10)
        if back > seconds:
            return steps
        number = str(dice.randint(1, BROKERS))
        steps += [Step(round(at, 1), "broker", "broken", number), Step(round(back, 1), "broker", "mended", number)]
        at = back + APART + dice.uniform(0, 8)


def cognigy(dice, seconds):
    steps, at = [], dice.uniform(3, 8)
    while at < seconds - 1:
        name = dice.choice(sorted(TROUBLES))
        end = min(at + dice.uniform(2, 7), float(seconds))
        steps += [Step(round(at, 1), "cognigy", "script", "; ".join(TROUBLES[name](dice))),
                  Step(round(end, 1), "cognigy", "calm", "")]
        at = end + dice.uniform(2, 9)
    return steps
