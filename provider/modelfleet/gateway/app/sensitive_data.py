"""What should not leave the house, found in a text by its shape and its check digits.

Few kinds, each one hard to take for another thing: a false alarm refuses an honest request. Hence
no phone numbers and no names, of which a shape says little; ``blocked_patterns`` can say more.
Searching leaves other threads to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import regex

# ASCII throughout: other scripts put no space between a word and an address. Every repetition is
# bounded, so that searching takes time in proportion to the text.
_EMAIL = regex.compile(
    r"(?<![\w.+-])[\w%+-][\w.%+-]{0,63}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?!\w)",
    regex.ASCII,
)
_NUMBERS = tuple(
    regex.compile(rf"(?<![\w.])(?:{digits})(?!\w|\.\d)", regex.ASCII)
    for digits in (
        r"\d{14,19}",
        r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}",
        r"\d{4}([ -])\d{4}\1\d{4}\1\d{4}\1\d{3}",
        r"\d{4}([ -])\d{6}\1\d{4,5}",
    )
)
_CARD = regex.compile(
    r"4\d{15}(?:\d{3})?"  # Visa
    r"|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"  # Mastercard
    r"|3[47]\d{13}"  # American Express
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}"  # Discover
    r"|35(?:2[89]|[3-8]\d)\d{12}"  # JCB
    r"|3(?:0[0-5]|[68]\d)\d{11}"  # Diners Club
    r"|62\d{14,17}"  # UnionPay
)
_IBAN = regex.compile(r"(?<!\w)([A-Z]{2})\d\d(?= ?[A-Z0-9])", regex.ASCII)
_RESIDENT = regex.compile(
    r"(?<!\w)[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\w)",
    regex.ASCII,
)
_PRIVATE_KEY = regex.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----")
_ACCESS_KEY = regex.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{16}"  # AWS
    r"|LTAI[A-Za-z0-9]{12,24}"  # Alibaba Cloud
    r"|AKID[A-Za-z0-9]{32}"  # Tencent Cloud
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255}"  # GitHub
    r"|glpat-[A-Za-z0-9_-]{20,255}"  # GitLab
    r"|hf_[A-Za-z0-9]{34}"  # Hugging Face
    r"|xox[abeoprs]-[A-Za-z0-9-]{20,255}"  # Slack
    r"|[rs]k_live_[A-Za-z0-9]{24,255}"  # Stripe
    r"|sk-(?=[A-Za-z_-]{0,60}\d)[A-Za-z0-9_-]{32,255}"  # OpenAI, Anthropic and others
    r"|eyJ[\w-]{10,1000}\.eyJ[\w-]{10,8000}\.[\w-]{20,1000}"  # JSON Web Token
    r")(?![A-Za-z0-9])",
    regex.ASCII,
)

# Nobody's addresses, by RFC 2606.
_NOBODYS = regex.compile(
    r"(?i:(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost))$"
)

# Lengths of ISO 13616, of the countries that there are.
_IBAN_LENGTHS = {
    **dict.fromkeys(["NO"], 15),
    **dict.fromkeys(["BE", "BI"], 16),
    **dict.fromkeys(["DK", "FI", "FK", "FO", "GL", "NL", "SD"], 18),
    **dict.fromkeys(["MK", "SI"], 19),
    **dict.fromkeys(["AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"], 20),
    **dict.fromkeys(["CH", "HR", "LI", "LV"], 21),
    **dict.fromkeys(["BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"], 22),
    **dict.fromkeys(["AE", "GI", "IL", "IQ", "OM", "SO", "TL"], 23),
    **dict.fromkeys(["AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"], 24),
    **dict.fromkeys(["LY", "PT", "ST"], 25),
    **dict.fromkeys(["IS", "TR"], 26),
    **dict.fromkeys(["DJ", "FR", "GR", "IT", "MC", "MR", "SM"], 27),
    **dict.fromkeys(["AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SV"], 28),
    **dict.fromkeys(["BR", "EG", "PS", "QA", "UA"], 29),
    **dict.fromkeys(["JO", "KW", "MU", "YE"], 30),
    **dict.fromkeys(["MT", "SC"], 31),
    **dict.fromkeys(["LC"], 32),
    **dict.fromkeys(["RU"], 33),
}


_IBANS = {
    country: regex.compile(rf"(?: ?[A-Z0-9]){{{length}}}(?![A-Za-z0-9])")
    for country, length in _IBAN_LENGTHS.items()
}


def sensitive_kind(text: str) -> str | None:
    """The kind of sensitive data that is found first, such as ``an e-mail address``; else None."""
    return next((kind for kind, occurs in _KINDS.items() if occurs(text)), None)


def _has(pattern: regex.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.search(text, concurrent=True) is not None


def _has_email(text: str) -> bool:
    return "@" in text and any(
        # What comes before the host of a repository is no person.
        not _NOBODYS.search(found[1]) and not found[0].startswith("git@")
        for found in _EMAIL.finditer(text, concurrent=True)
    )


def _has_card(text: str) -> bool:
    return any(_CARD.fullmatch(digits) and passes_luhn(digits) for digits in _numbers(text))


def _numbers(text: str) -> Iterator[str]:
    """Numbers as long as a card's, in one piece or in the groups that are stamped on cards."""
    for pattern in _NUMBERS:
        for found in pattern.finditer(text, concurrent=True):
            yield found[0].replace(" ", "").replace("-", "")


def passes_luhn(digits: str) -> bool:
    """Whether the last digit checks the others, as ISO/IEC 7812 has it."""
    doubled = [int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(digits))]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


def _has_iban(text: str) -> bool:
    return any(is_iban(word) for word in _account_numbers(text))


def _account_numbers(text: str) -> Iterator[str]:
    """What begins like an account's number, to the length that its country has."""
    for found in _IBAN.finditer(text, concurrent=True):
        pattern = _IBANS.get(found[1])
        if pattern and (account := pattern.match(text, found.start())):
            yield account[0].replace(" ", "")


def is_iban(word: str) -> bool:
    """Whether it has its country's length and the check digits of ISO 13616."""
    if len(word) != _IBAN_LENGTHS.get(word[:2]):
        return False
    return int("".join(str(int(letter, 36)) for letter in word[4:] + word[:4])) % 97 == 1


def _has_resident_number(text: str) -> bool:
    return any(is_resident_number(found[0]) for found in _RESIDENT.finditer(text, concurrent=True))


def is_resident_number(word: str) -> bool:
    """Whether the last of 18 characters checks the others, as GB 11643 has it."""
    weighted = sum(int(digit) * 2 ** (17 - at) for at, digit in enumerate(word[:17]))
    return "10X98765432"[weighted % 11] == word[17].upper()


_KINDS: dict[str, Callable[[str], bool]] = {
    "a private key": _has(_PRIVATE_KEY),
    "an access key": _has(_ACCESS_KEY),
    "a payment card": _has_card,
    "a bank account": _has_iban,
    "an identity number": _has_resident_number,
    "an e-mail address": _has_email,
}
