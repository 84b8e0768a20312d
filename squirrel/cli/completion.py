"""`squirrel completion bash|zsh|fish`: a script for the shell, on stdout."""

from __future__ import annotations

from typing import Literal

from cyclopts import App


def register(app: App) -> None:
    """Add the verb; it describes the very tree it hangs in."""

    def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
        """Print the completion script: squirrel completion bash > ~/.local/share/bash-completion/completions/squirrel."""
        print(app.generate_completion(shell=shell))
        return 0

    app.command(completion)
