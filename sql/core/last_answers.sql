/*
meaning: When each question about offers and providers was last answered.
grain: a question: source, topic and model
reads: core.accepted_answers
columns:
  source: Who was asked.
  topic: What was asked for.
  model_no: The model's number within this file; 0 where no model was asked about.
  last_seen_at: The latest accepted answer.
*/
SELECT
    source,
    topic,
    model_no,
    max(observed_at) AS last_seen_at
FROM catalogue.core.accepted_answers
GROUP BY source, topic, model_no
