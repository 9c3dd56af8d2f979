"""An economy of minds (arXiv 2305.17066, section 3, which nobody there implemented).

Credits are whole numbers and only ever change hands: between members, and between members and the
environment, which pays for right answers and collects rent and the prices of auctions. Each round
some members are awake; they bid for the right to answer, and the winner pays the second highest
bid; it may buy another's answer as a service; who cannot pay the rent is bankrupt and gone; the
rich have offspring, whom they endow from their own credits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

ENVIRONMENT = "environment"


class CreditError(ValueError):
    """A payment that is no whole number, is negative, or is more than the payer has."""


class Ledger:
    """Accounts of whole credits; nothing is ever made or lost."""

    def __init__(self, credits_: int) -> None:
        self._accounts = {ENVIRONMENT: credits_}
        self.total = credits_

    def __getitem__(self, name: str) -> int:
        return self._accounts[name]

    def accounts(self) -> dict[str, int]:
        """Return a copy of all accounts."""
        return dict(self._accounts)

    def open(self, name: str, payer: str, endowment: int) -> None:
        """Open an account that ``payer`` endows.

        Raises:
            CreditError: the account exists already, or ``payer`` cannot pay for it.
        """
        if name in self._accounts:
            raise CreditError(f"There is an account '{name}' already.")
        self._accounts[name] = 0
        try:
            self.pay(payer, name, endowment)
        except CreditError:
            del self._accounts[name]
            raise

    def pay(self, payer: str, payee: str, amount: int) -> None:
        """Move credits, or raise, and then nothing has moved.

        Raises:
            CreditError: an account is missing, or the amount is negative, not whole or too high.
        """
        for name in (payer, payee):
            if name not in self._accounts:
                raise CreditError(f"There is no account '{name}'.")
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
            raise CreditError(f"{payer} cannot pay {amount!r}: credits are whole and not negative.")
        if amount > self._accounts[payer]:
            raise CreditError(
                f"{payer} has {self._accounts[payer]} credits and cannot pay {amount}."
            )
        self._accounts[payer] -= amount
        self._accounts[payee] += amount

    def close(self, name: str) -> None:
        """Close an account; what is left falls to the environment."""
        self.pay(name, ENVIRONMENT, self._accounts[name])
        del self._accounts[name]


@dataclass
class Trader:
    """A member as the economy sees it.

    Attributes:
        name: of the member.
        traits: what it is like; known to who answers for it, handed on with changes.
        margin: share of the expected reward that it bids.
        belief: by kind of question, how often it thinks it is right; learned from experience.
        parent: whose offspring it is; empty for founders.
    """

    name: str
    traits: Mapping[str, float]
    margin: float
    belief: dict[str, float] = field(default_factory=dict)
    parent: str = ""

    def expects(self, kind: str) -> float:
        """Return how likely it thinks that it can answer a question of this kind."""
        return self.belief.get(kind, 0.5)

    def learn(self, kind: str, was_right: bool, rate: float) -> None:
        """Move the belief towards what happened."""
        self.belief[kind] = self.expects(kind) + rate * (float(was_right) - self.expects(kind))


@dataclass(frozen=True)
class EconomyOptions:
    """Rules of the economy; amounts in credits."""

    credits: int = 100_000
    """All there are, for ever."""
    founders: int = 24
    """Members at the start."""
    endowment: int = 400
    """What the environment gives each founder."""
    reward: int = 100
    """What the environment pays for a right answer."""
    rent: int = 1
    """What each member pays each round."""
    rich: int = 1200
    """Who has more has offspring."""
    most_members: int = 40
    """No offspring beyond."""
    awake: int = 6
    """Members that may bid or serve in a round, drawn by chance."""
    service_share: float = 0.1
    """Price of an answer bought from another, as a share of the reward."""
    learning_rate: float = 0.1
    """Of the beliefs."""
    mutation: float = 0.1
    """Standard deviation of what offspring do differently, as a share."""


@dataclass(frozen=True)
class Round:
    """What happened in a round.

    Who won at what price, whose answer it bought (empty: its own), whether that was right, who came
    and who went.
    """

    number: int
    winner: str
    price: int
    adviser: str
    was_right: bool
    bankrupt: tuple[str, ...]
    born: tuple[str, ...]


Answerer = Callable[[Trader, int], bool]


class Economy:
    """Auctions, services, rent, bankruptcy and offspring over one ledger.

    Args:
        options: the rules.
        founders: the first members.
        kind_of: the kind of question number ``n``.
        answers_right: lets a member answer question ``n``, and says whether that was right.
        rng: of who is awake, and of mutations.
    """

    def __init__(
        self,
        options: EconomyOptions,
        founders: list[Trader],
        kind_of: Callable[[int], str],
        answers_right: Answerer,
        rng: np.random.Generator,
    ) -> None:
        self._options, self._kind_of, self._answers_right = options, kind_of, answers_right
        self._rng = rng
        self._births = 0
        self.ledger = Ledger(options.credits)
        self.members: dict[str, Trader] = {}
        for trader in founders:
            self.ledger.open(trader.name, ENVIRONMENT, options.endowment)
            self.members[trader.name] = trader

    def play(self, number: int) -> Round:
        """Play one round, about question ``number``.

        Returns:
            What happened.
        """
        winner, price, adviser, was_right = "", 0, "", False
        if self.members:
            kind = self._kind_of(number)
            awake = self._awake()
            trader, price = self._auction(awake, kind)
            winner = trader.name
            self.ledger.pay(winner, ENVIRONMENT, price)
            adviser = self._hire(trader, awake, kind)
            was_right = self._answers_right(self.members[adviser or winner], number)
            self._settle(trader, adviser, kind, was_right)
        bankrupt = self._collect_rent()
        return Round(number, winner, price, adviser, was_right, bankrupt, self._raise_offspring())

    def _awake(self) -> list[Trader]:
        everyone = list(self.members.values())
        count = min(self._options.awake, len(everyone))
        return [everyone[i] for i in self._rng.permutation(len(everyone))[:count]]

    def _auction(self, awake: list[Trader], kind: str) -> tuple[Trader, int]:
        """Return the highest bidder and the second highest bid; nobody bids on credit."""
        ranked = sorted(awake, key=lambda one: self._bid(one, kind), reverse=True)
        return ranked[0], self._bid(ranked[1], kind) if len(ranked) > 1 else 0

    def _bid(self, trader: Trader, kind: str) -> int:
        """Return the bid: a fraction of what the trader expects to earn."""
        worth = int(trader.margin * trader.expects(kind) * self._options.reward)
        return max(0, min(worth, self.ledger[trader.name]))

    def _hire(self, trader: Trader, awake: list[Trader], kind: str) -> str:
        """Buy the answer of whoever is thought to be best, where that pays.

        Returns:
            The adviser's name; empty where nobody is hired.
        """
        price = int(self._options.service_share * self._options.reward)
        others = [one for one in awake if one is not trader]
        if not others or self.ledger[trader.name] < price:
            return ""
        best = max(others, key=lambda one: one.expects(kind))
        gain = (best.expects(kind) - trader.expects(kind)) * self._options.reward
        if gain <= price:
            return ""
        self.ledger.pay(trader.name, best.name, price)
        return best.name

    def _settle(self, trader: Trader, adviser: str, kind: str, was_right: bool) -> None:
        if was_right:
            reward = min(self._options.reward, self.ledger[ENVIRONMENT])
            self.ledger.pay(ENVIRONMENT, trader.name, reward)
        self.members[adviser or trader.name].learn(kind, was_right, self._options.learning_rate)

    def _collect_rent(self) -> tuple[str, ...]:
        gone = []
        for name in list(self.members):
            if self.ledger[name] < self._options.rent:
                self.ledger.close(name)
                del self.members[name]
                gone.append(name)
            else:
                self.ledger.pay(name, ENVIRONMENT, self._options.rent)
        return tuple(gone)

    def _raise_offspring(self) -> tuple[str, ...]:
        born = []
        for parent in list(self.members.values()):
            is_full = len(self.members) >= self._options.most_members
            if self.ledger[parent.name] > self._options.rich and not is_full:
                self._births += 1
                child = self._child(parent, f"{parent.name.split('.')[0]}.{self._births}")
                self.ledger.open(child.name, parent.name, self.ledger[parent.name] // 2)
                self.members[child.name] = child
                born.append(child.name)
        return tuple(born)

    def _child(self, parent: Trader, name: str) -> Trader:
        """Return a copy with small changes; it starts from its parent's beliefs."""
        factors = self._rng.lognormal(0.0, self._options.mutation, size=len(parent.traits) + 1)
        traits = {
            key: value * factor
            for (key, value), factor in zip(
                parent.traits.items(), factors[1:].tolist(), strict=True
            )
        }
        margin = min(parent.margin * float(factors[0]), 1.0)
        return Trader(name, traits, margin, dict(parent.belief), parent.name)
