# Missions and their schedules.

missions-cadence-no-object = the cadence is { $found }, but must be an object with a `kind`
missions-cadence-kind = the cadence kind is { $found }, but must be manual, interval, daily, weekly or cron
missions-cadence-field = { $field } of the cadence is { $found }, but must be { $allowed }
missions-cadence-zone = { $name } isn't a time zone; name one such as Europe/Berlin
missions-cadence-zone-meant = { $name } isn't a time zone. Did you mean { $zone }?
missions-cadence-cron = the cron expression { $expression } cannot be read{ $reason }
missions-cadence-cron-fields = the cron expression { $expression } cannot be read: it must have 5 fields: minute, hour, day of month, month, day of week
missions-cadence-hour = a whole number from 0 to 23
missions-cadence-minute = a whole number from 0 to 59
missions-cadence-day = a whole number from 0 (Sunday) to 6
missions-cadence-minutes = a whole number of at least 1
missions-cadence-expression = a cron expression of 5 fields
missions-cadence-zone-name = an IANA time zone such as Europe/Berlin
missions-found-nothing = null
missions-found-number = the number { $number }
missions-found-text = a long text
missions-found-list = an array
missions-found-object = an object

missions-title = Title
missions-goal = Goal
missions-goal-hint = What each plan should achieve.
missions-background = Background
missions-background-hint = Why you want this, and how. Markdown.
missions-agent = Agent
missions-no-agent = No agent
missions-inputs = { $all ->
    [0] What it can read
   *[other] What it can read ({ $all } to choose from)
}
missions-inputs-hint = Each plan is made with these in view. Encrypted ones need permission from one of your devices.
missions-nothing-to-read = Nothing to read yet: { $note } or { $import }.
missions-write-note = write a note
missions-import = import what you have
missions-encrypted = { $name } (encrypted)
missions-needs-title = A mission needs a title.

missions-schedule = Schedule
missions-schedule-foreign = By another app
missions-schedule-foreign-hint = mana-ai can't follow this schedule. It stays as it is until you choose another.
missions-schedule-manual = Only when you start it
missions-schedule-interval = Every few minutes
missions-schedule-daily = Daily
missions-schedule-weekly = Weekly
missions-schedule-cron = Custom (cron)
missions-repeats = Repeats
missions-every-minutes = Minutes between runs
missions-weekday = Weekday
missions-choose-day = Choose a day
missions-hour = Hour
missions-minute = Minute
missions-expression = Cron expression
missions-zone = Time zone
missions-manual = Runs only when you start it.
missions-next-times = Next times
missions-monday = Monday
missions-tuesday = Tuesday
missions-wednesday = Wednesday
missions-thursday = Thursday
missions-friday = Friday
missions-saturday = Saturday
missions-sunday = Sunday

missions-new = New mission
missions-create = Create mission
missions-edit = Edit mission
missions-under-way = Already running
missions-under-way-hint = This mission is being planned right now. Its plan appears on its page.
missions-back = Back to the mission
missions-delete-title = Delete “{ $mission }”?
missions-delete-title-short = Delete mission
missions-delete-hint = It disappears from all your devices, with its plans. You can undo this.
missions-delete-yes = Delete
missions-delete-no = Cancel
