/*
meaning: The providers of models now.
grain: a provider, per source
reads: marts.provider_history
columns:
  source: Who names it, such as `openrouter`.
  slug: The provider's short name; offers' tags begin with it.
  name: The display name, as offers give it for `provider_name`.
  privacy_policy_url: Where its privacy policy stands.
  terms_of_service_url: Where its terms stand.
  status_page_url: Where it tells of its outages.
  headquarters: The country of its headquarters, such as `US`.
  datacenters: The countries of its data centres; null if it names none.
  first_seen_at: The first answer that ever listed it.
  last_seen_at: The last answer, which lists it.
  extra: All other fields, JSON.
*/
WITH sights AS (
    SELECT *, min(valid_from) OVER (PARTITION BY source, slug) AS first_seen_at
    FROM catalogue.marts.provider_history
)

SELECT
    s.source,
    s.slug,
    s.name,
    s.privacy_policy_url,
    s.terms_of_service_url,
    s.status_page_url,
    s.headquarters,
    s.datacenters,
    s.first_seen_at,
    s.last_seen_at,
    s.extra
FROM sights AS s
WHERE s.valid_to IS NULL
