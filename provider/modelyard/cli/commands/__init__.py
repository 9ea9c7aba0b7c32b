"""The commands that are not operations, each in a module of its own, imported when it is called."""

__all__: list[str] = []
