"""The target ``local``: endpoints as processes of one machine."""

__all__: list[str] = []
