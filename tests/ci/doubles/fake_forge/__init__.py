"""A forge that remembers: GitHub's and GitLab's APIs on a loopback port, as far as reports need them."""

from fake_forge.forge import Fault, Forge, Token
from fake_forge.server import serving

__all__ = ["Fault", "Forge", "Token", "serving"]
