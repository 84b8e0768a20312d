"""The tree of verbs. Each group registers its own; heavy imports happen inside the verb that needs them."""

from __future__ import annotations

from importlib.metadata import version

from cyclopts import App

from squirrel.cli import (
    apply,
    audit,
    breakers,
    changing,
    completion,
    definitions,
    dev,
    expectations,
    listen,
    listing,
    live,
    overview,
    planning,
    plugin,
    profiles,
    repair,
    routes,
    schedule,
    services,
    settings,
    topics,
    transfer,
    workflow,
    workflows,
)

GROUPS = (
    *(dev, schedule, listing, workflow, overview, changing, repair, planning, definitions, routes, workflows),
    *(apply, transfer, live, listen),
    *(plugin, breakers, audit, expectations, profiles, completion, services, topics, settings),
)


def build_app() -> App:
    """The command with all its verbs."""
    app = App(
        name="squirrel",
        help="Fires things later: schedules by REST or Kafka, webhooks at the due millisecond, every run on record.",
        version=version("squirrel"),
    )
    for group in GROUPS:
        group.register(app)
    return app
