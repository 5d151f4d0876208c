from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, generate_latest

from fedward_protocol.labelled_registry import LabelledRegistry


def test_each_sample_says_whose_it_is():
    registry = LabelledRegistry({"job_name": "brain"})
    Gauge("depth", "Depth", ["site"], registry=registry).labels("north").set(3)
    Histogram("seconds", "Seconds", buckets=(1,), registry=registry).observe(0.5)
    page = generate_latest(registry).decode()
    assert 'depth{job_name="brain",site="north"} 3.0' in page
    assert 'seconds_bucket{job_name="brain",le="1.0"} 1.0' in page
    assert "# TYPE seconds histogram" in page


def test_a_label_of_its_own_stays():
    registry = LabelledRegistry({"site": "north"})
    Counter("seen", "Seen", ["site"], registry=registry).labels("south").inc()
    assert 'seen_total{site="south"} 1.0' in generate_latest(registry).decode()


def test_when_a_counter_was_made_is_no_series_of_its_own():
    registry = LabelledRegistry({"site": "north"})
    Counter("seen", "Seen", registry=registry).inc()
    Histogram("seconds", "Seconds", buckets=(1,), registry=registry).observe(0.5)
    assert "_created" not in generate_latest(registry).decode()
