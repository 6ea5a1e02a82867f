"""The HPA's rules, one by one."""

from dataclasses import replace

import pytest

from planner.hpa import DOWN, UP, Autoscaler, Limits, Metric, MetricType, Policy, PolicyType, Rules, Select

AT_ONCE = Rules(0, (Policy(PolicyType.PERCENT, 100, 15),))
LIMITS = Limits(1, 100, UP, AT_ONCE)


def wanting(workers: float) -> list[Metric | None]:
    return [Metric(workers, 1)]


def sync(hpa: Autoscaler, now: float, current: int, workers: float) -> int:
    return hpa.sync(now, current=current, metrics=wanting(workers), ready=current)


@pytest.mark.parametrize(("wanted", "replicas"), [(10.9, 10), (11.0, 10), (11.1, 12), (9.0, 10), (8.9, 9)])
def test_a_change_within_ten_percent_is_none(wanted: float, replicas: int) -> None:
    assert sync(Autoscaler(LIMITS), 0, 10, wanted) == replicas


def test_each_direction_may_have_a_tolerance_of_its_own() -> None:
    limits = replace(LIMITS, up=replace(UP, tolerance=0), down=replace(AT_ONCE, tolerance=0.5))

    assert sync(Autoscaler(limits), 0, 10, 10.1) == 11
    assert sync(Autoscaler(limits), 0, 10, 5.1) == 10


@pytest.mark.parametrize(("current", "replicas"), [(1, 5), (3, 7), (4, 8), (6, 12), (60, 100)])
def test_by_default_it_adds_four_or_as_many_as_there_are(current: int, replicas: int) -> None:
    assert sync(Autoscaler(LIMITS), 0, current, 1000) == replicas


def test_a_policy_s_period_counts_what_was_added_within_it() -> None:
    hpa = Autoscaler(replace(LIMITS, up=Rules(0, (Policy(PolicyType.PODS, 3, 60),))))

    assert [sync(hpa, 0, 1, 50), sync(hpa, 15, 4, 50), sync(hpa, 59, 4, 50)] == [4, 4, 4]
    assert sync(hpa, 60, 4, 50) == 7


def test_what_was_removed_within_the_period_may_be_added_again() -> None:
    hpa = Autoscaler(replace(LIMITS, up=Rules(0, (Policy(PolicyType.PODS, 1, 60),))))

    assert sync(hpa, 0, 10, 5) == 5
    assert sync(hpa, 15, 5, 50) == 11  # ten at the period's begin, and one more


def test_of_several_policies_the_largest_or_the_smallest_change_holds() -> None:
    policies = (Policy(PolicyType.PODS, 1, 60), Policy(PolicyType.PERCENT, 25, 60))

    def after(select: Select) -> int:
        return sync(Autoscaler(replace(LIMITS, down=Rules(0, policies, select))), 0, 20, 1)

    assert (after(Select.MAX), after(Select.MIN), after(Select.DISABLED)) == (15, 19, 20)


def test_a_percentage_is_rounded_in_favour_of_the_change() -> None:
    quarter = Rules(0, (Policy(PolicyType.PERCENT, 25, 15),))

    assert sync(Autoscaler(replace(LIMITS, up=quarter)), 0, 5, 50) == 7
    assert sync(Autoscaler(replace(LIMITS, down=quarter)), 0, 5, 1) == 3


def test_scaling_down_takes_the_largest_wish_of_its_window() -> None:
    hpa = Autoscaler(replace(LIMITS, down=DOWN))

    assert sync(hpa, 0, 1, 5) == 5
    assert {sync(hpa, now, 5, 1) for now in range(15, 300, 15)} == {5}
    assert sync(hpa, 300, 5, 2) == 2


def test_scaling_up_takes_the_smallest_wish_of_its_window() -> None:
    hpa = Autoscaler(replace(LIMITS, up=replace(UP, window_seconds=60)))

    assert [sync(hpa, now, 1, wish) for now, wish in ((0, 1), (15, 9), (30, 3), (45, 9))] == [1, 1, 1, 1]
    assert sync(hpa, 60, 1, 9) == 3


def test_the_largest_wish_of_all_metrics_counts() -> None:
    metrics = [Metric(3, 1), Metric(40, 10), Metric(2, 1)]

    assert Autoscaler(LIMITS).sync(0, current=1, metrics=metrics, ready=1) == 4


def test_a_metric_that_fails_keeps_it_from_scaling_down_but_not_up() -> None:
    down = Autoscaler(LIMITS).sync(0, current=9, metrics=[Metric(3, 1), None], ready=9)
    up = Autoscaler(LIMITS).sync(0, current=2, metrics=[Metric(3, 1), None], ready=2)

    assert (down, up) == (9, 3)
    assert Autoscaler(LIMITS).sync(0, current=9, metrics=[None], ready=9) == 9


def test_a_metric_of_the_type_value_is_not_divided_by_the_replicas() -> None:
    late = [Metric(40, 20, MetricType.VALUE)]

    assert Autoscaler(LIMITS).sync(0, current=4, metrics=late, ready=3) == 6


def test_what_is_outside_of_the_limits_is_brought_back_without_asking_a_metric() -> None:
    hpa = Autoscaler(Limits(2, 5))

    assert [hpa.sync(0, current=current, metrics=[None], ready=0) for current in (1, 9)] == [2, 5]


def test_at_zero_it_does_nothing() -> None:
    assert sync(Autoscaler(LIMITS), 0, 0, 50) == 0
