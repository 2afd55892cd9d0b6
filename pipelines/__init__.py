"""The historical warehouse of OpenRouter's model catalogue: capture, flatten, append, ask."""
