# What was done, and what is coming.

insights-day = { $name }, last 24 hours: { $told }
insights-day-empty = Nothing in the last 24 hours.
insights-ran = Ran
insights-skipped-archived = Agent archived
insights-skipped-paused = Agent paused
insights-skipped-concurrency = Waited for another run
insights-skipped-budget = Token limit reached
insights-skipped-review = Waited for your review
insights-tokens = Tokens
insights-due =
    { $count ->
        [one] 1 mission due by this time tomorrow
       *[other] { $count } missions due by this time tomorrow
    }
insights-now = now
