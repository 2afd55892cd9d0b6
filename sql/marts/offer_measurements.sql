/*
meaning: What was measured of offers when they were captured. Measurements are no states: they make no history.
grain: an offer in an accepted answer
reads: core.offer_measurements, core.accepted_answers, core.offer_ids, core.model_ids
columns:
  observed_at: When the source said it.
  source: Where it was offered, such as `openrouter`.
  model_id: The model's id, such as `author/name` or `author/name:free`.
  tag: What tells a provider's offers of a model apart, such as `novita/fp8`: provider, tier, region.
  twin_no: 1; where a model has several offers under one tag, their rank by price, the cheapest first.
  status: 0 where it is served normally, below where it is degraded or not, as the source numbers it.
  uptime_last_5m: Per cent of requests of the last five minutes that were served.
  uptime_last_30m: Per cent of requests of the last half hour that were served.
  uptime_last_1d: Per cent of requests of the last day that were served.
  latency_last_30m_p50: Latency of the last half hour, median; null unless the source told.
  latency_last_30m_p75: Latency of the last half hour, 75th percentile; null unless the source told.
  latency_last_30m_p90: Latency of the last half hour, 90th percentile; null unless the source told.
  latency_last_30m_p99: Latency of the last half hour, 99th percentile; null unless the source told.
  throughput_last_30m_p50: Throughput of the last half hour, median; null unless the source told.
  throughput_last_30m_p75: Throughput of the last half hour, 75th percentile; null unless the source told.
  throughput_last_30m_p90: Throughput of the last half hour, 90th percentile; null unless the source told.
  throughput_last_30m_p99: Throughput of the last half hour, 99th percentile; null unless the source told.
  extra: Measurements that have no column, JSON.
*/
SELECT
    a.observed_at,
    a.source,
    m.model_id,
    o.tag,
    o.twin_no,
    e.status,
    e.uptime_last_5m,
    e.uptime_last_30m,
    e.uptime_last_1d,
    e.latency_last_30m_p50,
    e.latency_last_30m_p75,
    e.latency_last_30m_p90,
    e.latency_last_30m_p99,
    e.throughput_last_30m_p50,
    e.throughput_last_30m_p75,
    e.throughput_last_30m_p90,
    e.throughput_last_30m_p99,
    e.extra
FROM catalogue.core.offer_measurements AS e
JOIN catalogue.core.accepted_answers AS a ON a.capture_no = e.capture_no
JOIN catalogue.core.offer_ids AS o ON o.offer_no = e.offer_no
JOIN catalogue.core.model_ids AS m ON m.model_no = a.model_no
