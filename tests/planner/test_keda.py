"""KEDA's rules, one by one."""

from dataclasses import replace
from datetime import datetime

import pytest

from planner import cron, formula
from planner.hpa import Limits, Metric
from planner.keda import Keda, Reading
from planner.scaled_object import Age, Busy, Fallback, FallbackBehavior, Floor, Modifiers, Queue, ScaledObject, Trigger

NIGHT, DAY = datetime(2026, 1, 5, 3), datetime(2026, 1, 5, 12)
TOTAL, READY = Queue("total", "tts.x", 5), Queue("ready", "tts.x", 5, counts_taken=False)
AGE = Age("late", 10)
HOURS = Floor("floor", cron.window(start="0 8 * * *", end="0 18 * * *", timezone="Etc/UTC"), 3)
EMPTY = Reading(ready=0, taken=0, ready_now=0, oldest_seconds=0, clock=NIGHT)
BUSY = replace(EMPTY, ready=20, taken=6, ready_now=19, oldest_seconds=40, busy=4)


def scaler(*triggers: Trigger, least: int = 0, fallback: Fallback | None = None) -> ScaledObject:
    return ScaledObject("x", least, Limits(max(least, 1), 10), triggers, fallback=fallback, cooldown_seconds=60)


def with_formula(text: str, *triggers: Trigger, activation: float = 0, fallback: Fallback | None = None) -> Keda:
    modifiers = Modifiers(formula.parse(text), 1, activation)
    return Keda(replace(scaler(*triggers, fallback=fallback), modifiers=modifiers))


def test_http_counts_what_busy_workers_hold_and_amqp_does_not() -> None:
    amqp = Queue("", "tts.x", 5, over_http=False, counts_taken=False)

    metrics = Keda(scaler(TOTAL, READY, amqp)).metrics(0, BUSY, current=6)

    assert metrics == [Metric(26, 5), Metric(20, 5), Metric(19, 5)]


def test_a_formula_makes_one_metric_of_all_triggers() -> None:
    keda = with_formula("max(total / 5, total - ready)", TOTAL, READY)

    assert keda.metrics(0, BUSY, current=6) == [Metric(6, 1)]


def test_workers_at_work_are_those_that_prometheus_counted() -> None:
    keda = with_formula("max(total / 20, busy)", TOTAL, Busy("busy", 1))

    assert keda.metrics(0, BUSY, current=6) == [Metric(4, 1)]
    assert keda.metrics(15, replace(BUSY, prometheus_answers=False), current=6) == [None]


def test_a_metric_is_cut_to_thousandths() -> None:
    assert with_formula("total / 3", TOTAL).metrics(0, BUSY, current=1) == [Metric(8.666, 1)]


def test_a_formula_that_comes_to_nothing_finite_is_a_metric_that_can_t_be_read() -> None:
    keda = with_formula("total / ready", TOTAL, READY)

    assert keda.metrics(0, replace(BUSY, ready=0), current=1) == [None]


def test_a_cron_trigger_asks_for_one_outside_of_its_hours() -> None:
    keda = Keda(scaler(TOTAL, HOURS))

    assert keda.metrics(0, EMPTY, current=1)[1] == Metric(1, 1)
    assert keda.metrics(9 * 3600, replace(EMPTY, clock=DAY), current=1)[1] == Metric(3, 1)


def test_a_message_wakes_a_lane_at_zero() -> None:
    keda = Keda(scaler(TOTAL))

    assert keda.poll(0, EMPTY, current=0) == 0
    assert keda.poll(5, replace(EMPTY, ready=1), current=0) == 1


def test_activation_is_above_and_not_at_its_value() -> None:
    keda = Keda(scaler(replace(TOTAL, activation=20)))

    assert keda.poll(0, replace(EMPTY, ready=20), current=0) == 0
    assert keda.poll(5, replace(EMPTY, ready=21), current=0) == 1


def test_with_a_formula_only_the_formula_activates() -> None:
    asleep = with_formula("total - ready", TOTAL, READY)  # nobody holds a message at zero

    assert asleep.poll(0, replace(EMPTY, ready=9), current=0) == 0
    assert with_formula("total / 5", TOTAL, activation=2).poll(0, replace(EMPTY, ready=11), current=0) == 1


def test_a_cron_trigger_in_a_formula_keeps_a_lane_awake_for_ever() -> None:
    """Why the lanes that sleep have none: outside of its hours it is 1, which is above 0."""
    keda = with_formula("max(total / 5, floor)", TOTAL, HOURS)

    assert keda.poll(0, EMPTY, current=0) == 1


def test_a_cron_trigger_of_its_own_activates_in_its_hours_only() -> None:
    assert Keda(scaler(TOTAL, HOURS)).poll(0, EMPTY, current=0) == 0
    assert Keda(scaler(TOTAL, HOURS)).poll(0, replace(EMPTY, clock=DAY), current=0) == 1


def test_a_lane_goes_to_zero_after_its_cooldown() -> None:
    keda = Keda(scaler(TOTAL))
    keda.poll(0, BUSY, current=4)

    assert [keda.poll(now, EMPTY, current=4) for now in (15, 60, 61)] == [4, 4, 0]


def test_what_was_never_active_goes_to_zero_at_once_but_for_the_initial_cooldown() -> None:
    assert Keda(scaler(TOTAL)).poll(0, EMPTY, current=4) == 0
    patient = Keda(replace(scaler(TOTAL), initial_cooldown_seconds=30))
    assert [patient.poll(now, EMPTY, current=4) for now in (0, 30)] == [4, 0]


def test_a_lane_with_a_least_is_brought_to_it() -> None:
    assert Keda(scaler(TOTAL, least=2)).poll(0, EMPTY, current=0) == 2


GONE = replace(BUSY, broker_answers=False)


@pytest.mark.parametrize(
    ("behavior", "current", "wanted"),
    [
        (FallbackBehavior.STATIC, 7, 4),
        (FallbackBehavior.CURRENT, 7, 7),
        (FallbackBehavior.CURRENT_IF_HIGHER, 7, 7),
        (FallbackBehavior.CURRENT_IF_HIGHER, 2, 4),
        (FallbackBehavior.CURRENT_IF_LOWER, 7, 4),
    ],
)
def test_the_fallback_holds_after_so_many_failures(behavior: FallbackBehavior, current: int, wanted: int) -> None:
    keda = with_formula("max(total / 5, total - ready)", TOTAL, READY, fallback=Fallback(2, 4, behavior))

    before = [keda.metrics(now, GONE, current=current) for now in (0, 15)]

    assert before == [[None], [None]]
    assert keda.metrics(30, GONE, current=current) == [Metric(wanted, 1)]
    assert keda.metrics(45, BUSY, current=current) == [Metric(6, 1)]
    assert keda.metrics(60, GONE, current=current) == [None]  # counted from the beginning


def test_one_trigger_that_fails_takes_the_whole_formula_away_though_it_does_not_name_it() -> None:
    """KEDA asks every trigger for its formula. Without Prometheus the lengths of the queues don't help either."""
    keda = with_formula("total / 5", TOTAL, AGE, fallback=Fallback(0, 4, FallbackBehavior.CURRENT_IF_HIGHER))

    assert keda.metrics(0, replace(BUSY, prometheus_answers=False), current=2) == [Metric(4, 1)]


def test_without_a_formula_only_the_trigger_that_fails_falls_back() -> None:
    keda = Keda(scaler(TOTAL, AGE, fallback=Fallback(0, 4)))

    metrics = keda.metrics(0, replace(BUSY, prometheus_answers=False), current=2)

    assert metrics == [Metric(26, 5), Metric(40, 10)]


def test_keda_s_own_look_never_cuts_a_lane_that_it_can_t_see() -> None:
    higher = Fallback(3, 4, FallbackBehavior.CURRENT_IF_HIGHER)
    keda = with_formula("total / 5", TOTAL, fallback=higher)

    assert [keda.poll(0, GONE, current=current) for current in (0, 2, 9)] == [4, 4, 9]
    assert with_formula("total / 5", TOTAL).poll(0, GONE, current=2) == 2
