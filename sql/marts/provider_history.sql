/*
meaning: What providers said of themselves over time: where their privacy policy stands, where they sit, where their data centres are.
grain: a state of a provider, per source
reads: core.provider_intervals, core.provider_states, core.last_answers
columns:
  source: Who names it, such as `openrouter`.
  slug: The provider's short name; offers' tags begin with it.
  name: The display name, as offers give it for `provider_name`.
  privacy_policy_url: Where its privacy policy stands.
  terms_of_service_url: Where its terms stand.
  status_page_url: Where it tells of its outages.
  headquarters: The country of its headquarters, such as `US`.
  datacenters: The countries of its data centres; null if it names none.
  valid_from: The first answer that shows it.
  valid_to: The first answer that no longer shows it; null while it lasts.
  last_seen_at: The last answer that shows it.
  extra: All other fields, JSON.
*/
SELECT
    i.source,
    s.slug,
    s.name,
    s.privacy_policy_url,
    s.terms_of_service_url,
    s.status_page_url,
    s.headquarters,
    s.datacenters,
    i.valid_from,
    i.valid_to,
    coalesce(i.last_seen_at, a.last_seen_at) AS last_seen_at,
    s.extra
FROM catalogue.core.provider_intervals AS i
JOIN catalogue.core.provider_states AS s ON s.provider_state_no = i.provider_state_no
JOIN catalogue.core.last_answers AS a ON a.source = i.source AND a.topic = 'providers'
WHERE i.known_to IS NULL
