"""Multi-armed bandits: routers that learn from rewards which route to prefer."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from random import Random
from threading import Lock
from typing import Any, ClassVar, Literal

from modelyard.graphs.event import Event
from modelyard.graphs.groups import NOT_MINE, RouterStrategy
from modelyard.graphs.routers.errors import RewardInvalid
from modelyard.graphs.routers.routes import whole_number

__all__ = ["Arm", "EpsilonGreedy", "Thompson"]

_LARGEST = 1e100
"""Beyond that, sums of squares would not be finite for long."""


@dataclass(slots=True)
class Arm:
    """What a bandit knows of one route.

    Parameters
    ----------
    chosen
        How many events it got.
    rewards
        How many rewards are known.
    total, squares
        The sum of the rewards, and of their squares.
    """

    chosen: int = 0
    rewards: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The mean reward; 0 if none is known."""
        return self.total / self.rewards if self.rewards else 0.0


def _arm(chosen: int = 0, rewards: int = 0, total: float = 0.0, squares: float = 0.0) -> Arm:
    sums = [float(each) for each in (total, squares) if isinstance(each, int | float)]
    if len(sums) < 2 or not all(isfinite(each) for each in sums) or squares < 0:
        raise ValueError("the sums are finite numbers")
    return Arm(whole_number("chosen", chosen, 0), whole_number("rewards", rewards, 0), *sums)


class _Bandit(RouterStrategy, ABC):
    """Counts, remembers and tells; a subclass chooses."""

    state: ClassVar[str] = "worker"
    deterministic = False

    def __init__(
        self,
        reward_path: str,
        remember: int,
        failure_reward: float | None,
        seed: int | None,
        start: Mapping[str, Any] | None,
        members: tuple[str, ...],
    ) -> None:
        if not reward_path.startswith("/"):
            raise ValueError(f"reward_path begins with a slash, it is {reward_path!r}")
        self._members = members
        self._reward_path = reward_path
        self._remember = whole_number("remember", remember, 0)
        self._failure_reward = None if failure_reward is None else self.checked(failure_reward, ValueError)
        self._random = Random(seed)  # noqa: S311 (no secret)
        self._lock = Lock()
        self._taken: OrderedDict[str, str] = OrderedDict()
        self.arms = {name: Arm() for name in members}
        if start is not None:
            self.load(start)

    def select(self, event: Event) -> str:
        """Return the route, and remember it for the reward of this event."""
        with self._lock:
            route = self.choose()
            self.arms[route].chosen += 1
            if self._remember:
                self._taken[event.id] = route
                if len(self._taken) > self._remember:
                    self._taken.popitem(last=False)
        return route

    @abstractmethod
    def choose(self) -> str:
        """Return the route for the next event; called under the lock."""

    def checked(self, reward: Any, error: type[Exception] = RewardInvalid) -> float:
        """Return a reward that is one.

        Raises
        ------
        RewardInvalid
            It is none.
        """
        if isinstance(reward, bool):
            return float(reward)
        if not isinstance(reward, int | float) or (isinstance(reward, float) and not isfinite(reward)):
            raise error(f"a reward is a number, not {reward!r:.80}")
        if abs(reward) > _LARGEST:
            raise error(f"a reward is a number up to {_LARGEST:g}, not {reward!r:.80}")
        return float(reward)

    def reward(self, route: str, reward: float) -> None:
        """Take down what came of an event.

        Parameters
        ----------
        route
            Where it went.
        reward
            How good that was; more is better.

        Raises
        ------
        RewardInvalid
            There is no such route, or the reward is none.
        """
        value = self.checked(reward)
        if not isinstance(route, str) or route not in self.arms:
            raise RewardInvalid(f"there is no route {route!r:.80}: {', '.join(self._members)}")
        with self._lock:
            arm = self.arms[route]
            arm.rewards += 1
            arm.total += value
            arm.squares += value * value

    def observe(self, event: Event, route: str, error: BaseException | None) -> None:
        """Take down the reward of a failure, if there is one."""
        if error is not None and self._failure_reward is not None:
            with self._lock:
                self._taken.pop(event.id, None)
            self.reward(route, self._failure_reward)

    def operate(self, event: Event) -> Any:
        """Answer a reward: the body has ``reward``, and either ``route`` or the ``id`` of the event that was answered.

        Raises
        ------
        RewardInvalid
            The body is no reward, or the event is not remembered.
        """
        if not event.path.endswith(self._reward_path):
            return NOT_MINE
        if event.method == "GET":
            return self.export()
        body = event.body
        if not isinstance(body, Mapping) or "reward" not in body or ("route" in body) == ("id" in body):
            raise RewardInvalid("a reward has the fields reward, and either route or id")
        value = self.checked(body["reward"])
        route = body["route"] if "route" in body else self._route_of(body["id"])
        self.reward(route, value)
        return {"route": route, "rewards": self.arms[route].rewards, "mean": self.arms[route].mean}

    def _route_of(self, event: Any) -> str:
        with self._lock:
            route = self._taken.pop(event, None) if isinstance(event, str) else None
        if route is None:
            raise RewardInvalid(
                f"the event {event!r:.80} is not known here: it is too old, was rewarded, or went elsewhere"
            )
        return route

    def export(self) -> dict[str, Any]:
        """Return what the bandit knows, as JSON values: for another worker, or the next start."""
        with self._lock:
            return {
                name: {"chosen": arm.chosen, "rewards": arm.rewards, "total": arm.total, "squares": arm.squares}
                for name, arm in self.arms.items()
            }

    def load(self, known: Mapping[str, Any]) -> None:
        """Take over what a bandit of the same routes has exported; routes that it does not tell of start anew.

        Raises
        ------
        ValueError
            It tells of other routes, or is no export.
        """
        arms = {name: Arm() for name in self._members}
        if not isinstance(known, Mapping):
            raise TypeError(f"start maps routes to what is known of them, it is {type(known).__name__}")
        for name, values in known.items():
            if name not in arms:
                raise ValueError(f"start tells of {name!r}, which is no route: {', '.join(self._members)}")
            try:
                arms[name] = _arm(**values)
            except (TypeError, ValueError):
                raise ValueError(
                    f"start[{name!r}] has chosen, rewards, total and squares, it is {values!r:.80}"
                ) from None
        with self._lock:
            self.arms = arms


class EpsilonGreedy(_Bandit):
    """Sends most events to the route with the best mean reward, and a share to any.

    A route without a reward is tried before the means are compared. A ``POST`` to a path that ends with `reward_path`
    is a reward: ``{"reward": 1.0, "route": "a"}``, or with the ``id`` of the event instead of the route; a ``GET``
    gives what is known.

    Parameters
    ----------
    epsilon
        The share of the events that go to any route, between 0 and 1.
    reward_path
        How the path of a reward ends.
    remember
        Of how many events the route is remembered for their reward; with 0 rewards name the route.
    failure_reward
        The reward of an event whose route failed; None gives none.
    seed
        For choices that can be repeated.
    start
        What an earlier bandit exported.

    Raises
    ------
    ValueError
        An argument is out of its range.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("offers")
    >>> routes = {"a": lambda body: "a", "b": lambda body: "b"}
    >>> step = graph.router(EpsilonGreedy, routes=routes, epsilon=0.0, seed=1)
    >>> graph.test({"reward": 0.2, "route": "a"}, path="/reward")
    {'route': 'a', 'rewards': 1, 'mean': 0.2}
    >>> answer = graph.test({"reward": 0.9, "route": "b"}, path="/reward")
    >>> [graph.test({}) for _ in range(3)]
    ['b', 'b', 'b']
    """

    def __init__(
        self,
        epsilon: float = 0.1,
        reward_path: str = "/reward",
        remember: int = 10_000,
        failure_reward: float | None = None,
        seed: int | None = None,
        start: Mapping[str, Any] | None = None,
        *,
        members: tuple[str, ...] = (),
    ) -> None:
        if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0 <= epsilon <= 1:
            raise ValueError(f"epsilon is between 0 and 1, not {epsilon!r}")
        self.epsilon = epsilon
        super().__init__(reward_path, remember, failure_reward, seed, start, members)

    def choose(self) -> str:
        """Return any route, or the best one."""
        if self._random.random() < self.epsilon:
            return self._random.choice(self._members)
        untried = [name for name, arm in self.arms.items() if not arm.rewards]
        if untried:
            return min(untried, key=lambda name: self.arms[name].chosen)
        return max(self._members, key=lambda name: self.arms[name].mean)


class Thompson(_Bandit):
    """Sends each event to the route that is best in a draw from what is believed of the rewards.

    With ``beta``, rewards are between 0 and 1, and the belief is Beta(1 + Σr, 1 + n − Σr). With ``gaussian`` they are
    any numbers, and the belief of the mean is a normal distribution with the observed mean and s/√n, where s is the
    observed standard deviation; routes with fewer than two rewards are tried first. Rewards come as for
    `EpsilonGreedy`. Source: Thompson, "On the likelihood that one unknown probability exceeds another", 1933.

    Parameters
    ----------
    rewards
        ``beta`` or ``gaussian``.
    reward_path, remember, failure_reward, seed, start
        As for `EpsilonGreedy`.

    Raises
    ------
    ValueError
        An argument is out of its range.

    Examples
    --------
    >>> from modelyard.graphs import Graph
    >>> graph = Graph("offers")
    >>> routes = {"a": lambda body: "a", "b": lambda body: "b"}
    >>> start = {"a": {"chosen": 100, "rewards": 100, "total": 5.0, "squares": 5.0},
    ...          "b": {"chosen": 100, "rewards": 100, "total": 80.0, "squares": 80.0}}
    >>> step = graph.router(Thompson, routes=routes, seed=7, start=start)
    >>> [graph.test({}) for _ in range(5)]
    ['b', 'b', 'b', 'b', 'b']
    """

    def __init__(
        self,
        rewards: Literal["beta", "gaussian"] = "beta",
        reward_path: str = "/reward",
        remember: int = 10_000,
        failure_reward: float | None = None,
        seed: int | None = None,
        start: Mapping[str, Any] | None = None,
        *,
        members: tuple[str, ...] = (),
    ) -> None:
        if rewards not in ("beta", "gaussian"):
            raise ValueError(f"rewards is beta or gaussian, not {rewards!r}")
        self.rewards = rewards
        super().__init__(reward_path, remember, failure_reward, seed, start, members)

    def checked(self, reward: Any, error: type[Exception] = RewardInvalid) -> float:
        """Return a reward that is one, between 0 and 1 for ``beta``."""
        value = super().checked(reward, error)
        if self.rewards == "beta" and not 0 <= value <= 1:
            raise error(f"a reward is between 0 and 1, not {value!r}")
        return value

    def choose(self) -> str:
        """Return the route with the best draw."""
        if self.rewards == "beta":
            return max(self._members, key=lambda name: self._beta(self.arms[name]))
        untried = [name for name, arm in self.arms.items() if arm.rewards < 2]
        if untried:
            return min(untried, key=lambda name: self.arms[name].chosen)
        return max(self._members, key=lambda name: self._gaussian(self.arms[name]))

    def _beta(self, arm: Arm) -> float:
        return self._random.betavariate(1.0 + arm.total, 1.0 + max(arm.rewards - arm.total, 0.0))

    def _gaussian(self, arm: Arm) -> float:
        variance = max(arm.squares - arm.total * arm.mean, 0.0) / (arm.rewards - 1)
        return self._random.gauss(arm.mean, sqrt(variance / arm.rewards))
