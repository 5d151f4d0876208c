from fedward_protocol.repeats import MOST_JOBS, Repeats, RepeatsByJob


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


def test_each_job_has_its_own_and_jobs_without_end_are_not_all_kept():
    repeats = RepeatsByJob()
    assert [repeats.of(uid).is_news("no way") for _ in range(3) for uid in ("a", "b")] == [True] * 4 + [False] * 2
    for number in range(MOST_JOBS - 1):
        repeats.of(f"job-{number}")
    assert (repeats.of("b").times, repeats.of("a").times) == (3, 0)
