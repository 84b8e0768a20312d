"""Create a thousand schedules in one call and read their completions from Kafka.

SQUIRREL_SERVER=http://127.0.0.1:8080 TARGET=http://127.0.0.1:9000/ python examples/python_async.py
"""
# ruff: noqa: T201, INP001

import asyncio
import os

from squirrel.client import AsyncClient, completions

SERVER = os.environ.get("SQUIRREL_SERVER", "http://127.0.0.1:8080")
TARGET = os.environ.get("TARGET", "http://127.0.0.1:9000/")
COUNT = int(os.environ.get("COUNT", "1000"))


async def main() -> None:
    async with AsyncClient(SERVER) as squirrel:
        kafka = (await squirrel.stats())["kafka"]["bootstrap"]  # `squirrel dev` says where its Kafka is
        schedules = [
            {"event": "batch.item", "when": {"in_seconds": 2}, "target": TARGET, "message": {"number": number}}
            for number in range(COUNT)
        ]
        waiting = {made.id async for made in squirrel.create_many(schedules) if made.ok}
        print(f"{len(waiting)} schedules made")
        async for completion in completions(kafka, event="batch.item", from_start=True):
            waiting.discard(completion.schedule_id)
            if not waiting:
                break
        print("all of them completed")


asyncio.run(main())
