-- version: 14
--
-- Goes up whenever a ledger that an earlier program filled would not hold what this one would put into it: other
-- tables, derivations or ways to read a capture. Such a ledger is built anew from captures and journal.
--
-- The tables of the ledger. `raw` and the first part of `core` are facts and only ever appended to; the second part
-- is derived from them. A derived row holds for readers whose knowledge lies in [known_from, known_to); rows with
-- known_to null are what is known now. Nothing is ever deleted.

CREATE SCHEMA raw;
CREATE SCHEMA core;
CREATE SCHEMA marts;

-- Facts ---------------------------------------------------------------------------------------------------------------

-- A commit of the ledger; the journal beside the captures has a line for each.
CREATE TABLE core.commits (recorded_at TIMESTAMPTZ NOT NULL);

-- The packs that commits took.
CREATE TABLE core.packs (pack VARCHAR NOT NULL, recorded_at TIMESTAMPTZ NOT NULL);

-- A capture. capture_no counts in the order of loading and never leaves the ledger. lists_every_modality: whether its
-- scope covers all models; else those with text output.
CREATE TABLE raw.captures (
    capture_no INTEGER NOT NULL, snapshot_id VARCHAR NOT NULL, source VARCHAR NOT NULL, scope VARCHAR NOT NULL,
    scope_kind VARCHAR NOT NULL, lists_every_modality BOOLEAN NOT NULL, observed_at TIMESTAMPTZ NOT NULL,
    sha256 VARCHAR NOT NULL, size_bytes BIGINT NOT NULL, pack VARCHAR NOT NULL
);

-- A way in which a capture came.
CREATE TABLE raw.provenance (
    capture_no INTEGER NOT NULL, origin VARCHAR NOT NULL, provenance JSON NOT NULL
);

-- A person's word on a capture; the latest counts.
CREATE TABLE core.decisions (
    snapshot_id VARCHAR NOT NULL, decision VARCHAR NOT NULL, reason VARCHAR NOT NULL, recorded_at TIMESTAMPTZ NOT NULL
);

-- From when on a capture is suspicious; the latest counts, and where there is none the program's own.
CREATE TABLE core.limits (
    unreadable_share DOUBLE NOT NULL, gone_share DOUBLE NOT NULL, gone_within_days DOUBLE NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL
);

-- What a capture of a listing says of itself. keyframe_no is the capture that its observations are told against;
-- null where there is nothing to observe. unreadable_count of its price_count prices, rules' prices included, are no
-- numbers.
CREATE TABLE core.listings (
    capture_no INTEGER NOT NULL, keyframe_no INTEGER, model_count INTEGER NOT NULL, reported_count BIGINT,
    price_count INTEGER NOT NULL, unreadable_count INTEGER NOT NULL, defects JSON NOT NULL
);

-- The models observed in a capture, as the difference from the previous capture in its group of keyframe_no
-- (the keyframe itself: from nothing). version_no null: the model is not listed any more.
CREATE TABLE core.observations (
    keyframe_no INTEGER NOT NULL, capture_no INTEGER NOT NULL, model_no INTEGER NOT NULL, version_no INTEGER
);

-- A distinct way in which a gateway groups its models, a row for each group, and which capture shows it.
CREATE TABLE core.groupings (
    grouping_no INTEGER NOT NULL, grouping_key UUID NOT NULL, modality VARCHAR NOT NULL, provider VARCHAR NOT NULL,
    is_configured BOOLEAN, model_ids VARCHAR[] NOT NULL
);

CREATE TABLE core.grouped_listings (capture_no INTEGER NOT NULL, grouping_no INTEGER NOT NULL);

-- A distinct list of models that a facet gives: in its order where that ranks them, else by number.
CREATE TABLE core.facet_lists (facet_list_no INTEGER NOT NULL, facet_list_key UUID NOT NULL, model_nos INTEGER[] NOT NULL);

-- A capture of a facet that can be read.
CREATE TABLE core.facet_listings (
    capture_no INTEGER NOT NULL, source VARCHAR NOT NULL, facet VARCHAR NOT NULL, is_ranking BOOLEAN NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL, facet_list_no INTEGER NOT NULL
);

CREATE TABLE core.model_ids (model_no INTEGER NOT NULL, model_id VARCHAR NOT NULL);

-- A distinct state of a model, as received, without prices and benchmarks. meaning_key is shared by states that mean
-- the same: empty forms are equal, arrays of strings are sets.
CREATE TABLE core.states (
    state_no INTEGER NOT NULL, state_key UUID NOT NULL, meaning_key UUID NOT NULL, model_id VARCHAR NOT NULL,
    author VARCHAR, base_model_id VARCHAR, variant VARCHAR, is_alias BOOLEAN, alias_target VARCHAR, name VARCHAR,
    canonical_slug VARCHAR, hugging_face_id VARCHAR, created_at TIMESTAMPTZ, description VARCHAR, context_length BIGINT,
    modality VARCHAR, input_modalities VARCHAR[], output_modalities VARCHAR[], tokenizer VARCHAR, instruct_type VARCHAR,
    max_completion_tokens BIGINT, is_moderated BOOLEAN, supported_parameters VARCHAR[], default_parameters JSON,
    expiration_date DATE, knowledge_cutoff VARCHAR, extra JSON
);

-- A distinct price list, as received. rules_key is shared by lists whose rules say the same; null: no rules.
CREATE TABLE core.price_lists (price_list_no INTEGER NOT NULL, price_list_key UUID NOT NULL, rules_key UUID);

CREATE TABLE core.prices (
    price_list_no INTEGER NOT NULL, price_kind VARCHAR NOT NULL, unit VARCHAR NOT NULL, price_text VARCHAR NOT NULL,
    price_usd DECIMAL(38, 24), price_status VARCHAR NOT NULL
);

CREATE TABLE core.price_rules (
    price_list_no INTEGER NOT NULL, rule_no INTEGER NOT NULL, min_prompt_tokens BIGINT, utc_start INTEGER,
    utc_end INTEGER, utc_days VARCHAR[], unknown_conditions JSON, price_kind VARCHAR NOT NULL, unit VARCHAR NOT NULL,
    price_text VARCHAR NOT NULL, price_usd DECIMAL(38, 24), price_status VARCHAR NOT NULL
);

-- A distinct model object but for its benchmarks: a state and a price list.
CREATE TABLE core.versions (
    version_no INTEGER NOT NULL, version_key UUID NOT NULL, model_no INTEGER NOT NULL, state_no INTEGER NOT NULL,
    price_list_no INTEGER NOT NULL, outputs_text BOOLEAN NOT NULL
);

-- A field that the API's description does not name. version_no null: it stands beside the list of models, or in an answer
-- about offers or providers.
CREATE TABLE core.unknown_fields (
    version_no INTEGER, capture_no INTEGER, path VARCHAR NOT NULL, json_type VARCHAR NOT NULL, example VARCHAR NOT NULL
);

-- An answer beside the listings: what one model's offers, all offers without data retention or all providers are.
-- model_no is 0 unless it is about one model. list_no is null where the bytes do not tell.
CREATE TABLE core.answers (
    capture_no INTEGER NOT NULL, source VARCHAR NOT NULL, topic VARCHAR NOT NULL, model_no INTEGER NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL, list_no INTEGER, price_count INTEGER NOT NULL, unreadable_count INTEGER NOT NULL,
    defects JSON NOT NULL
);

-- A distinct list that answers give. members are numbers of offer_versions (topic offers), offer_ids (zdr) or
-- provider_states (providers).
CREATE TABLE core.answer_lists (
    list_no INTEGER NOT NULL, list_key UUID NOT NULL, topic VARCHAR NOT NULL, members INTEGER[] NOT NULL
);

-- What names an offer. twin_no ranks by price the offers that one model has under one tag, from 1.
CREATE TABLE core.offer_ids (
    offer_no INTEGER NOT NULL, model_no INTEGER NOT NULL, tag VARCHAR NOT NULL, twin_no INTEGER NOT NULL
);

-- A distinct state of an offer, without prices and measurements.
CREATE TABLE core.offer_states (
    offer_state_no INTEGER NOT NULL, offer_state_key UUID NOT NULL, name VARCHAR, provider_name VARCHAR,
    quantization VARCHAR, context_length BIGINT, max_completion_tokens BIGINT, max_prompt_tokens BIGINT,
    supported_parameters VARCHAR[], supports_implicit_caching BOOLEAN, extra JSON
);

-- A distinct offer: a state and a price list.
CREATE TABLE core.offer_versions (
    offer_version_no INTEGER NOT NULL, offer_no INTEGER NOT NULL, offer_state_no INTEGER NOT NULL,
    price_list_no INTEGER NOT NULL
);

-- What was measured of an offer when it was answered. Never makes a version.
CREATE TABLE core.offer_measurements (
    capture_no INTEGER NOT NULL, offer_no INTEGER NOT NULL, status INTEGER, uptime_last_5m DOUBLE,
    uptime_last_30m DOUBLE, uptime_last_1d DOUBLE, latency_last_30m_p50 DOUBLE, latency_last_30m_p75 DOUBLE,
    latency_last_30m_p90 DOUBLE, latency_last_30m_p99 DOUBLE, throughput_last_30m_p50 DOUBLE,
    throughput_last_30m_p75 DOUBLE, throughput_last_30m_p90 DOUBLE, throughput_last_30m_p99 DOUBLE, extra JSON
);

CREATE TABLE core.provider_states (
    provider_state_no INTEGER NOT NULL, provider_state_key UUID NOT NULL, slug VARCHAR NOT NULL, name VARCHAR,
    privacy_policy_url VARCHAR, terms_of_service_url VARCHAR, status_page_url VARCHAR, headquarters VARCHAR,
    datacenters VARCHAR[], extra JSON
);

-- An item of a feed of new models.
CREATE TABLE core.feed_items (
    feed_item_no INTEGER NOT NULL, fingerprint VARCHAR NOT NULL, model_id VARCHAR NOT NULL, canonical_slug VARCHAR,
    title VARCHAR NOT NULL, link VARCHAR, added_at TIMESTAMPTZ
);

-- A capture of a feed and the numbers of its items; none where the defect says why it cannot be read.
CREATE TABLE core.feeds (
    capture_no INTEGER NOT NULL, source VARCHAR NOT NULL, observed_at TIMESTAMPTZ NOT NULL, defect VARCHAR,
    items INTEGER[] NOT NULL
);

-- What `/models/count` said; counted is null where the answer cannot be read.
CREATE TABLE core.counts (
    capture_no INTEGER NOT NULL, source VARCHAR NOT NULL, output_modality VARCHAR NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL, counted BIGINT
);

-- Derived -------------------------------------------------------------------------------------------------------------

-- What became of a capture of a listing, of offers or of providers: accepted, quarantined, rejected, superseded.
CREATE TABLE core.verdicts (
    capture_no INTEGER NOT NULL, verdict VARCHAR NOT NULL, codes VARCHAR[] NOT NULL, reasons VARCHAR[] NOT NULL,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which every snapshot that covers a model lists it in one version. started_by: first, change, return.
-- ended_by: change, absence; null while it lasts. last_seen_at is null while it lasts. text_listed_from: since when
-- listings of text models cover it; null if they do not.
CREATE TABLE core.runs (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, version_no INTEGER NOT NULL, valid_from TIMESTAMPTZ NOT NULL,
    valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, started_by VARCHAR NOT NULL, ended_by VARCHAR,
    is_left_censored BOOLEAN NOT NULL, text_listed_from TIMESTAMPTZ, known_from TIMESTAMPTZ NOT NULL,
    known_to TIMESTAMPTZ
);

-- Up to when accepted snapshots of catalogue scopes reach: the last of all, and the last that lists every modality.
CREATE TABLE core.coverage (
    source VARCHAR NOT NULL, last_at TIMESTAMPTZ NOT NULL, last_all_at TIMESTAMPTZ, known_from TIMESTAMPTZ NOT NULL,
    known_to TIMESTAMPTZ
);

-- A stretch in which a model is listed. is_text_listed: whether listings of text models cover it too; null once it ended.
CREATE TABLE core.spells (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, spell_no INTEGER NOT NULL, listed_from TIMESTAMPTZ NOT NULL,
    listed_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, is_left_censored BOOLEAN NOT NULL, is_text_listed BOOLEAN,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which a model's attributes mean the same; state_no is the first of them.
CREATE TABLE core.state_intervals (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, state_no INTEGER NOT NULL, valid_from TIMESTAMPTZ NOT NULL,
    valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, after_absence BOOLEAN NOT NULL, previous_state_no INTEGER,
    previous_last_seen_at TIMESTAMPTZ, known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which one headline price has one value. price_status also has `unlisted`: the kind was absent.
CREATE TABLE core.price_intervals (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, price_kind VARCHAR NOT NULL, unit VARCHAR, price_text VARCHAR,
    price_usd DECIMAL(38, 24), price_status VARCHAR NOT NULL, valid_from TIMESTAMPTZ NOT NULL, valid_to TIMESTAMPTZ,
    last_seen_at TIMESTAMPTZ, after_absence BOOLEAN NOT NULL, rules_key UUID, previous_rules_key UUID,
    price_list_no INTEGER NOT NULL, known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which one rule gives one price; conditions and values are equal as numbers throughout.
CREATE TABLE core.rule_intervals (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, rule_no INTEGER NOT NULL, min_prompt_tokens BIGINT,
    utc_start INTEGER, utc_end INTEGER, utc_days VARCHAR[], unknown_conditions JSON, price_kind VARCHAR NOT NULL,
    unit VARCHAR NOT NULL, price_text VARCHAR NOT NULL, price_usd DECIMAL(38, 24), price_status VARCHAR NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL, valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

CREATE TABLE core.price_changes (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, price_kind VARCHAR NOT NULL, changed_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL, change_kind VARCHAR NOT NULL, old_price_text VARCHAR, new_price_text VARCHAR,
    old_price_usd DECIMAL(38, 24), new_price_usd DECIMAL(38, 24), has_rule_change BOOLEAN NOT NULL,
    is_schedule_flip BOOLEAN NOT NULL, after_absence BOOLEAN NOT NULL, reverted_at TIMESTAMPTZ,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A change of a model's rules, seen as what a request pays in a week: see price_rule_changes.sql.
CREATE TABLE core.price_rule_changes (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, price_kind VARCHAR NOT NULL, min_prompt_tokens BIGINT,
    changed_at TIMESTAMPTZ NOT NULL, last_seen_at TIMESTAMPTZ NOT NULL, old_low_usd DECIMAL(38, 24),
    old_high_usd DECIMAL(38, 24), new_low_usd DECIMAL(38, 24), new_high_usd DECIMAL(38, 24),
    changed_minutes INTEGER NOT NULL, unknown_minutes INTEGER NOT NULL, week_ratio DOUBLE, is_repricing BOOLEAN NOT NULL,
    after_absence BOOLEAN NOT NULL, known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

CREATE TABLE core.attribute_changes (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, attribute VARCHAR NOT NULL, changed_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL, old_value JSON, new_value JSON, after_absence BOOLEAN NOT NULL,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which every snapshot of a facet has a model: anywhere where rank is null, else in that place of a
-- ranking, from 1. last_seen_at is null while it lasts. is_left_censored: it begins with the facet's first snapshot.
CREATE TABLE core.facet_intervals (
    source VARCHAR NOT NULL, facet VARCHAR NOT NULL, model_no INTEGER NOT NULL, rank INTEGER,
    valid_from TIMESTAMPTZ NOT NULL, valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, is_left_censored BOOLEAN NOT NULL,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which every answer to one question gives one list. last_seen_at is null while it lasts. is_first: it
-- begins with the first answer of all, so that nobody knows since when it had lasted.
CREATE TABLE core.answer_runs (
    source VARCHAR NOT NULL, topic VARCHAR NOT NULL, model_no INTEGER NOT NULL, list_no INTEGER NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL, valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, is_first BOOLEAN NOT NULL,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

CREATE TABLE core.offer_spells (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, offer_no INTEGER NOT NULL, spell_no INTEGER NOT NULL,
    offered_from TIMESTAMPTZ NOT NULL, offered_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ,
    is_left_censored BOOLEAN NOT NULL, known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- As price_intervals, of offers.
CREATE TABLE core.offer_price_intervals (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, offer_no INTEGER NOT NULL, price_kind VARCHAR NOT NULL,
    unit VARCHAR, price_text VARCHAR, price_usd DECIMAL(38, 24), price_status VARCHAR NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL, valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, after_absence BOOLEAN NOT NULL,
    rules_key UUID, previous_rules_key UUID, price_list_no INTEGER NOT NULL, known_from TIMESTAMPTZ NOT NULL,
    known_to TIMESTAMPTZ
);

-- As price_changes, of offers.
CREATE TABLE core.offer_price_changes (
    source VARCHAR NOT NULL, model_no INTEGER NOT NULL, offer_no INTEGER NOT NULL, price_kind VARCHAR NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL, last_seen_at TIMESTAMPTZ NOT NULL, change_kind VARCHAR NOT NULL,
    old_price_text VARCHAR, new_price_text VARCHAR, old_price_usd DECIMAL(38, 24), new_price_usd DECIMAL(38, 24),
    has_rule_change BOOLEAN NOT NULL, is_schedule_flip BOOLEAN NOT NULL, after_absence BOOLEAN NOT NULL,
    reverted_at TIMESTAMPTZ, known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);

-- A stretch in which a provider says the same of itself.
CREATE TABLE core.provider_intervals (
    source VARCHAR NOT NULL, slug VARCHAR NOT NULL, provider_state_no INTEGER NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL, valid_to TIMESTAMPTZ, last_seen_at TIMESTAMPTZ,
    known_from TIMESTAMPTZ NOT NULL, known_to TIMESTAMPTZ
);
