"""Prints the figures that the disturbances noted (lib/pool.py) as a table. Exit 1 when something was lost or doubled."""
import json
import sys

COLUMNS = (("requests", "requests"), ("lost", "lost"), ("doubled", "doubled"), ("sent 2x", "sent_twice"),
           ("exec 2x", "executed_twice"), ("slowest ms", "slowest_ms"))
FAILURES = ("lost", "doubled", "executed_twice")


def main(path):
    with open(path, encoding="utf-8") as file:
        cases = [json.loads(line) for line in file]
    width = max((len(case["case"]) for case in cases), default=4)
    print(f"{'case':{width}}" + "".join(f"  {title:>10}" for title, _ in COLUMNS))
    for case in cases:
        print(f"{case['case']:{width}}" + "".join(f"  {case[key]:>10}" for _, key in COLUMNS))
    bad = any(case[key] for case in cases for key in FAILURES)
    print("\nnothing was lost, doubled or executed twice" if cases and not bad else "\nNOT as promised")
    return 1 if bad or not cases else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
