# What all pages share.

common-overview = Overview
common-agents = Agents
common-missions = Missions
common-records = Records
common-access = Data access
common-nav = Main
common-skip = Skip to content
common-sign-out = Sign out
common-to-overview = Back to the overview
common-to-deleted = See deleted things
common-more = More
common-older = Older
common-save = Save
common-edit = Edit
common-cancel = Cancel
common-changed-elsewhere = This changed elsewhere. What you are writing is kept; reload the page to see the change.
common-too-large = This is too large to show here ({ $kilobytes } kB). Its history shows the start of each change.

common-form-old = This form is out of date
common-form-old-why = Go back, reload the page, and try again.
common-form-bad = This form can't be read
common-not-done = That didn't work
common-form-without-was = The page doesn't say what it showed, so your changes can't be told apart. Nothing was saved. Go back, reload the page, and try again.
common-not-a-number = { $label } is { $given }, but must be a whole number
common-not-found = Page not found
common-not-found-why = It may have been deleted, or belong to somebody else.
common-too-much = Too many requests
common-too-much-why = Others are being answered first. Try again in a moment.
common-database = The database doesn't answer
common-database-busy = It is busy, or its disk is full. Try again soon.
common-database-broken = See the log of the server.

common-state-active = active
common-state-paused = paused
common-state-done = done
common-state-archived = archived
common-state-unknown = unknown
common-state-due = due
common-state-running = running
common-state-waiting = waiting
common-state-planned = plan made
common-state-dropped = dropped
common-state-failed = failed

common-app = Missions that AI agents look after, on your own server.
common-offline = mana-ai can't be reached
common-offline-hint = Check your connection, and whether the server runs. Nothing is lost.
common-try-again = Try again
