"""Pages of one listing while the fleet changes, and what is kept for those who do not go on."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modelfleet.agentrun.paging import Page, Pages
from modelfleet.errors import SpecError


class Fleet:
    """What is listed, which may change between two pages; and a clock."""

    def __init__(self, count: int) -> None:
        self.names = [f"s{at:03}" for at in range(count)]
        self.listed = 0
        self.now = 0.0
        self.pages = Pages(clock=lambda: self.now, listings=3, items=500)

    async def make(self) -> Sequence[str]:
        self.listed += 1
        return tuple(self.names)

    async def page(self, number: int, *, size: int = 50, who: str = "me") -> Page[str]:
        return await self.pages.page(who, number=number, size=size, make=self.make)


async def test_all_pages_are_of_the_moment_of_the_first_one() -> None:
    fleet = Fleet(120)
    before = list(fleet.names)
    seen = list((await fleet.page(1)).items)
    del fleet.names[:60]
    fleet.names.append("new")
    seen += (await fleet.page(2)).items
    last = await fleet.page(3)
    assert [*seen, *last.items] == before
    assert (last.number, last.size, last.total) == (3, 50, 120)
    assert fleet.listed == 1


async def test_page_one_begins_anew() -> None:
    fleet = Fleet(3)
    await fleet.page(1)
    fleet.names.append("new")
    assert (await fleet.page(1)).total == 4
    assert (await fleet.page(2, size=3)).items == ("new",)


@pytest.mark.parametrize("number", [2, 10**9])
async def test_a_page_beyond_the_last_one_is_empty_and_knows_the_total(number: int) -> None:
    fleet = Fleet(50)
    await fleet.page(1)
    assert await fleet.page(number) == Page((), number, 50, 50)


async def test_listings_of_others_and_of_other_filters_are_others() -> None:
    fleet = Fleet(60)
    await fleet.page(1, who="me")
    fleet.names.clear()
    await fleet.page(1, who="you")
    assert (await fleet.page(2, who="me")).total == 60
    assert (await fleet.page(2, who="you")).total == 0


async def test_a_listing_is_kept_for_a_minute_after_its_last_page() -> None:
    fleet = Fleet(200)
    await fleet.page(1)
    for number in (2, 3):
        fleet.now += 59
        await fleet.page(number)
    assert fleet.listed == 1
    fleet.now += 61
    await fleet.page(4)
    assert fleet.listed == 2


async def test_what_is_kept_is_bounded_by_listings_and_by_items() -> None:
    fleet = Fleet(100)
    for who in "abcd":
        await fleet.page(1, who=who)
    assert fleet.listed == 4
    await fleet.page(2, who="d")
    assert fleet.listed == 4
    await fleet.page(2, who="a")  # the least used one had to go
    assert fleet.listed == 5
    fleet.names *= 4
    await fleet.page(1, who="large")
    await fleet.page(2, who="a")
    assert fleet.listed == 6
    await fleet.page(2, who="d")
    assert fleet.listed == 7


async def test_a_listing_larger_than_all_that_may_be_kept_is_told_all_the_same() -> None:
    fleet = Fleet(501)
    assert (await fleet.page(1)).total == 501
    assert len((await fleet.page(2)).items) == 50
    assert fleet.listed == 2


@pytest.mark.parametrize(("number", "size", "field"), [(0, 1, "page_number"), (1, 0, "page_size")])
async def test_pages_are_counted_from_one_and_hold_at_least_one(
    number: int, size: int, field: str
) -> None:
    with pytest.raises(SpecError, match=f"{field}: must be at least 1"):
        await Fleet(1).page(number, size=size)
