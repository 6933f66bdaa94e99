overview-waiting = Waiting for your review
overview-nothing-waits = Nothing. Plans that need your decision show up here.
overview-blocked = Blocked
overview-all-blocked = All blocked missions
overview-running = Running now
overview-nothing-runs = Nothing is running.
overview-retries = Waiting for another attempt
overview-next = Due next
overview-none-next = No active mission has a next run.
overview-due = due
overview-day = The last 24 hours
overview-runs = Runs
overview-latest = Latest runs
overview-all-runs = All runs
overview-no-writes = The database can't be written. Check the disk and the server's log.
overview-model-away = Can't reach the model:
overview-next-try = Next try:
overview-next-plan-tries = The next plan tries again.
overview-model-fails = The last request to the model failed:
overview-test = Test connection
overview-well = Running normally.
overview-answered = The model answered:
overview-untried = The model has not been asked yet.
overview-chart = { $name }, last 24 hours: { $told }
overview-nothing = nothing
overview-quiet = Nothing in the last 24 hours.
overview-due-by-tomorrow = { $n ->
    [one] 1 mission is due by this time tomorrow
   *[other] { $n } missions are due by this time tomorrow
}
overview-now = now
