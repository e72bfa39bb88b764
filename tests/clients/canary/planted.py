"""Words that nobody else has, and what may become of them."""

import dataclasses
import random

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclasses.dataclass(frozen=True)
class Canary:
    """A word, where it was planted, and what it is: a secret is told to whoever asks for it by itself and in no other answer; a name
    is in addresses and so in the activity log; anything else is content. None of them is ever on the disk in clear."""

    where: str
    value: str
    is_secret: bool = False
    is_name: bool = False


class Planted:
    def __init__(self):
        self._all = {}

    def __iter__(self):
        return iter(self._all.values())

    def __len__(self):
        return len(self._all)

    def _add(self, canary):
        assert canary.where not in self._all, canary.where
        self._all[canary.where] = canary
        return canary.value

    @staticmethod
    def _word():
        return "cnry" + "".join(random.SystemRandom().choice(LETTERS) for _ in range(16))

    def content(self, where):
        return self._add(Canary(where, self._word()))

    def name(self, where):
        return self._add(Canary(where, self._word(), is_name=True))

    def secret(self, where, value=None):
        """One of ours, or one that the server made."""
        return self._add(Canary(where, value or self._word(), is_secret=True))

    def __getitem__(self, where):
        return self._all[where].value
