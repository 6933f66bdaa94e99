# What was done, and what is coming.

insights-tokens = Tokens
