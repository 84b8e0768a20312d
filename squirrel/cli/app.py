"""The tree of verbs. Each group registers its own; heavy imports happen inside the verb that needs them."""

from __future__ import annotations

from importlib.metadata import version

from cyclopts import App

from squirrel.cli import dev, services, settings, topics


def build_app() -> App:
    """The command with all its verbs."""
    app = App(
        name="squirrel",
        help="Fires things later: schedules by REST or Kafka, webhooks at the due millisecond, every run on record.",
        version=version("squirrel"),
    )
    dev.register(app)
    services.register(app)
    topics.register(app)
    settings.register(app)
    return app
