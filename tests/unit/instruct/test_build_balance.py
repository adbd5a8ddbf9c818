from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from vesalius.instruct.build import balance

_ITEMS = st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from("abc"), st.booleans()), unique_by=lambda item: item[0], max_size=40)


@given(_ITEMS, st.integers(0, 3))
def test_tuples_have_one_of_each_answer_and_one_stratum_and_nothing_is_lost(items, seed):
    groups = {"yes": [i for i in items if i[2]], "no": [i for i in items if not i[2]]}
    tuples, spare = balance.matched(groups, lambda i: str(i[0]), lambda i: i[1], salt=str(seed))
    assert all(first[2] and not second[2] and first[1] == second[1] for first, second in tuples)
    used = [item for each in tuples for item in each]
    assert len(set(used)) == len(used)
    assert len(used) + spare.total() == len(items)
    again, _ = balance.matched({name: each[::-1] for name, each in groups.items()}, lambda i: str(i[0]), lambda i: i[1], salt=str(seed))
    assert again == tuples


def test_items_of_two_kinds_are_used_in_turn():
    groups = {"yes": [("y", n) for n in range(4)], "no": [("healthy", n) for n in range(20)] + [("ill", n) for n in range(2)]}
    tuples, spare = balance.matched(groups, str, lambda _: 0, salt="", kind=lambda item: item[0])
    assert Counter(second[0] for _, second in tuples) == {"healthy": 2, "ill": 2}
    assert spare == {"no": 18}


def test_wordings_are_dealt_evenly_and_never_twice_to_one():
    dealt = list(islice(balance.dealt("abcde", 2, salt="x", name=str), 10))
    assert all(len(set(each)) == 2 for each in dealt)
    assert set(Counter(w for each in dealt for w in each).values()) == {4}
    assert next(balance.dealt("ab", 9, salt="x", name=str)) in (("a", "b"), ("b", "a"))


def test_what_was_right_most_is_offered_as_wrong_first():
    offers = balance.Offers("x")
    for n in range(3):
        offers.take(["often"], ["rare", "never"], 1, str(n))
    assert offers.take(["rare"], ["often", "never"], 1, "z") == ["often"]
    assert sorted(offers.shuffled("abc", "1")) == ["a", "b", "c"]
