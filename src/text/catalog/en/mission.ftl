# Where a mission stands, its page, and the list of missions.

# Where a mission stands
mission-is-paused = Paused; it does not run.
mission-is-done = Done; it does not run any more.
mission-is-archived = Archived; it does not run.
mission-is-unknown = It has no known state, so it does not run.
mission-is-running = Running now.
mission-is-ready = Ready; starts within a minute.
mission-is-on-start = Runs only when you start it.
mission-is-at = Next run: { $at }.
mission-bad-schedule-short = Invalid schedule; doesn't run by itself.
mission-agent-archived = Agent { $agent } is archived.
mission-agent-paused = Agent { $agent } is paused.
mission-agent-busy = Agent { $agent } is busy with other runs; starts when one of them ends.
mission-agent-spent = Agent { $agent } has used its daily tokens.
mission-waits-for-review = { $n ->
    [one] Waiting for your review of 1 plan.
   *[other] Waiting for your review of { $n } plans.
}
mission-tries-again = The last attempt failed; next try: { $at }.
mission-model-away = Can't reach the model; next try: { $at }.
mission-on-device = One of your devices runs it.
mission-limit-reached = Your daily limit of model calls or tokens is reached.
mission-not-started = Not started.
mission-review-now = Review
mission-open-agent = Open the agent
mission-blocked = blocked

# How often it runs
mission-every-manual = Not by itself
mission-every-minutes = { $n ->
    [one] Every minute
   *[other] Every { $n } minutes
}
mission-every-hours = { $n ->
    [one] Every hour
   *[other] Every { $n } hours
}
mission-every-days = { $n ->
    [one] Every 24 hours
   *[other] Every { $n } days
}
mission-every-hour-at = Every hour at minute { $minute }
mission-every-day-at = Every day at { $at }
mission-every-weekday-at = Every weekday at { $at }
mission-every-week-at = Every { $days } at { $at }
mission-every-month-at = On day { $day } of each month at { $at }
mission-every-cron = Cron: { $expression }
mission-in-zone = { $every }, { $zone }
mission-days-and = { $first } and { $last }
mission-day-0 = Sunday
mission-day-1 = Monday
mission-day-2 = Tuesday
mission-day-3 = Wednesday
mission-day-4 = Thursday
mission-day-5 = Friday
mission-day-6 = Saturday

# The page of a mission
mission-agent = Handled by
mission-no-agent = No agent
mission-schedule = Schedule
mission-next-run = Next run
mission-next-then = then
mission-due-since = Due since { $at }
mission-next-none = None
mission-run-now = Run now
mission-cancel-run = Cancel run
mission-cancelled = Cancelled. The answer of the model under way is dropped.
mission-pause = Pause
mission-resume = Resume
mission-edit = Edit
mission-more = More
mission-duplicate = Duplicate
mission-copy-of = { $title } (copy)
mission-mark-done = Mark as done
mission-archive = Archive
mission-history = History
mission-delete = Delete
mission-bad-schedule = The schedule can't be followed:
mission-correct-it = Correct it
mission-wrong-type = { $field } has a value that can't be used; its default is used.
mission-clock-ahead = A device whose clock was ahead edited { $fields }. Later edits count only after those times.
mission-whole-title = The whole title
mission-background = Background
mission-can-read = What it can read
mission-can-read-n = What it can read ({ $n })
mission-edit-whole = Edit the mission
mission-form-whole = The form shows texts whole.
mission-checks = All checks
mission-status = Schedule status
mission-plans = Plans
mission-no-plans = No plan yet.
mission-older-plans = Older plans
mission-runs = Runs

# The list of missions
mission-deleted = Mission deleted.
mission-undelete = Undo
mission-search = Search titles
mission-filter = Filter and sort
mission-which = Show
mission-which-all = All missions
mission-which-review = Waiting for review
mission-which-blocked = Blocked
mission-any-state = Any state
mission-active = Active
mission-paused = Paused
mission-done = Done
mission-archived = Archived
mission-any-agent = Any agent
mission-sort = Sort by
mission-by-title = Title
mission-by-next = Next run
mission-by-change = Last change
mission-none = No missions yet.
mission-none-found = No mission matches.
mission-show-all = Show all
mission-next-page = More missions
mission-to-review = { $n ->
    [one] 1 plan to review
   *[other] { $n } plans to review
}
