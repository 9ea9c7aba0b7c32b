"""The trivial steps that all contestants run."""


def add(number: int) -> int:
    """Add one."""
    return number + 1


def double(number: int) -> int:
    """Double."""
    return number * 2


def subtract(number: int) -> int:
    """Subtract three."""
    return number - 3


async def add_later(number: int) -> int:
    """Add one."""
    return number + 1


async def double_later(number: int) -> int:
    """Double."""
    return number * 2


async def subtract_later(number: int) -> int:
    """Subtract three."""
    return number - 3
