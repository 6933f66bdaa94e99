# What was done, and what is coming.

insights-tokens = Tokens
insights-title = Insights
insights-period = Period
insights-days = { $n } days
insights-rate = Approved
insights-percent = { $n } %
insights-of-decided = { $n } of { $all } decided steps
insights-approved = Approved
insights-declined = Rejected
insights-decisions = Decided steps
insights-cost = Cost
insights-at = at { $price } per million tokens
insights-newest = So many steps were decided that only the newest { $n } count here.
insights-chart = { $name }, last { $days } days: { $told }
insights-quiet = Nothing in these days.
insights-as-table = As a table
insights-day = Day
insights-zone = Days are those of the time zone { $zone }.
insights-none = Nothing was planned or decided in these days.
insights-gone = (deleted)
insights-rejected = What you rejected, and why
insights-none-rejected = You rejected nothing.
insights-reason = Why: “{ $text }”
insights-no-reason = No reason given.
insights-taken-back = Undone after it was carried out
insights-plan = Plan
