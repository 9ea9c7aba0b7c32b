"""The command line: a front door that carries parameters to operations and shows what came back."""

__all__: list[str] = []
