from fedward_protocol.repeats import Repeats


def test_what_goes_on_is_said_ever_more_seldom():
    repeats = Repeats()
    assert [time for time in range(1, 10_001) if repeats.is_news("no way")] == [2**power for power in range(14)]


def test_another_trouble_and_one_after_the_end_of_the_last_are_news():
    repeats = Repeats()
    assert [repeats.is_news("no way") for _ in range(3)] == [True, True, False]
    assert (repeats.is_news("no name"), repeats.times) == (True, 1)
    assert repeats.is_news("no way")
    for _ in range(2):
        repeats.is_news("no way")
    repeats.over()
    assert (repeats.is_news("no way"), repeats.times) == (True, 1)
