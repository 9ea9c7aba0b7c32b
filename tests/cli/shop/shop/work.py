"""What the shop does."""


def greet(name: str = "world", times: int = 1) -> dict[str, object]:
    return {"hello": [name] * times}
