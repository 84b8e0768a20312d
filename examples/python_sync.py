"""Schedule a webhook two seconds from now, wait for its run, cancel another before it fires.

SQUIRREL_SERVER=http://127.0.0.1:8080 TARGET=http://127.0.0.1:9000/ python examples/python_sync.py
"""
# ruff: noqa: T201, INP001

import os
import threading

from squirrel.client import Client, Conflict

SERVER = os.environ.get("SQUIRREL_SERVER", "http://127.0.0.1:8080")
TARGET = os.environ.get("TARGET", "http://127.0.0.1:9000/")

with Client(SERVER) as squirrel:
    reminder = squirrel.create(
        event="email.reminder", when={"in_seconds": 2}, target=TARGET, message={"to": "ada@example.com"}
    )
    print(f"{reminder.id} runs at {reminder.next_run}")

    unwanted = squirrel.create(event="email.reminder", when={"in_seconds": 3600}, target=TARGET)
    squirrel.delete(unwanted.id)  # returns when nothing of it will be called any more

    pause = threading.Event()
    for _ in range(100):
        run = next(squirrel.runs(reminder.id), None)
        if (
            run is not None and run.finished is not None and run.attempts
        ):  # the attempts come with the history, a moment later
            break
        pause.wait(0.2)
    else:
        raise SystemExit("the reminder did not run within 20 seconds")
    print(f"{run.id} {run.state} after {len(run.attempts)} attempt(s), answered {run.attempts[-1].status}")

    try:
        squirrel.update(reminder.id, when={"in_seconds": 60})
    except Conflict as error:
        print(f"too late: {error}")
