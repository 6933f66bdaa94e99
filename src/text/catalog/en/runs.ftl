# Runs, and how they end.

runs-dropped-deleted = the mission was deleted meanwhile
runs-dropped-state = the mission became { $state } meanwhile
runs-dropped-rescheduled = the mission was re-scheduled meanwhile from { $from } to { $to }
runs-dropped-unscheduled = the mission was re-scheduled meanwhile from { $from } to no time
runs-deleted-before = the mission was deleted before it was planned
runs-other-agent = the mission was handed to another agent
runs-process-ended = the process that planned it ended
runs-server-stopped = the program was stopped
runs-not-written = its plan could not be written
runs-orphaned = the mission was deleted, paused or re-scheduled while it waited for its next attempt
runs-note-too-many = “{ $record }” wasn't read: too many records are linked.
runs-note-module = “{ $record }” wasn't read: this server doesn't know its module.
runs-note-gone = “{ $record }” wasn't read: there is no such record.
runs-note-empty = “{ $record }” wasn't read: it is empty.
runs-note-too-large = “{ $record }” wasn't read: it is too large.
runs-note-too-long = “{ $record }” wasn't read: its history is too long.
runs-note-no-grant = “{ $record }” wasn't read: it is encrypted, and none of your devices allowed it.
runs-note-outside = “{ $record }” wasn't read: your device's permission doesn't include it.
runs-note-closed = “{ $record }” wasn't read: it couldn't be decrypted. Data access tells why.
runs-note-more = { $n ->
    [one] 1 more record wasn't read.
   *[other] { $n } more records weren't read.
}
runs-note-cut = { $n ->
    [one] 1 linked record had no room in the prompt.
   *[other] { $n } linked records had no room in the prompt.
}
runs-note-orders = { $n ->
    [one] 1 text reads like orders to the model. It was passed on as content only.
   *[other] { $n } texts read like orders to the model. They were passed on as content only.
}
runs-note-repeats = Steps that you rejected before were taken out of the plan.
runs-note-read-less = The model read only { $read } of about { $sent } tokens. Give it a larger context window.
runs-note-estimated = The model server didn't count tokens, so they are estimated.
runs-note-no-schedule = The schedule is invalid; the mission runs again once it is corrected.

# Failures of the model and its server, in short
runs-failure-unreachable = The model can't be reached.
runs-failure-timeout = The model did not answer in time.
runs-failure-auth = The model server refused the key.
runs-failure-busy = The model server is overloaded.
runs-failure-rejected = The model server refused the request.
runs-failure-server = The model server failed.
runs-failure-malformed = No model server answers at this address.
runs-failure-empty = The model gave an empty answer.
runs-failure-machine = This server could not ask the model.
runs-failure-plan = The model's answer is no plan that can be used.
runs-failure-lost = The result could not be saved.
runs-details = Details
runs-without-time = { $why }; the mission will not run again until its cadence is set

# The pages of runs
runs-title = Runs
runs-run = Run
runs-run-of = Run of
runs-all = All
runs-open = Under way
runs-planned = Plan made
runs-failed = Failed
runs-dropped = Dropped
runs-of = Runs of
runs-of-all = all runs
runs-state = State
runs-until = Until
runs-filter = Show
runs-none = No runs.
runs-search = All runs
runs-older = Older runs
runs-newer = Newer runs
runs-newest-first = Newest first
runs-oldest-first = Oldest first
runs-cut = Only the runs of the { $n } missions that changed last are shown.
runs-again = Next attempt
runs-is-running = running
runs-is-open = under way
runs-is-waiting = waiting
runs-is-planned = plan made
runs-is-failed = failed
runs-is-dropped = dropped
runs-due = Due
runs-missed = { $n ->
    [one] Catches up 1 missed run.
   *[other] Catches up { $n } missed runs.
}
runs-started = Started
runs-gates-passed = All checks passed.
runs-interrupted = { $n ->
    [one] The server stopped once meanwhile; it went on afterwards.
   *[other] The server stopped { $n } times meanwhile; it went on afterwards.
}
runs-inputs = Inputs
runs-decrypted = { $n ->
    [one] 1 attempt to read an encrypted record
   *[other] { $n } attempts to read encrypted records
}
runs-attempt = Attempt { $n }
runs-rounds = { $n ->
    [one] 1 call of the model
   *[other] { $n } calls of the model
}
runs-tokens = { $prompt } input tokens, { $answer } output
runs-show-prompt = { $n ->
    [0] Show the prompt
   *[other] Show the prompt ({ $n } characters)
}
runs-read = { $n ->
    [one] 1 linked record read
   *[other] { $n } linked records read
}
runs-round = Question { $n }
runs-asked-tools = tools as functions
runs-asked-json = answer as JSON
runs-no-answer = No answer.
runs-answer = { $calls ->
    [0] Answered with { $chars } characters and no tool
    [one] Answered with 1 tool
   *[other] Answered with { $calls } tools
}
runs-checked = The check found nothing wrong.
runs-found = { $n ->
    [one] The check found 1 problem:
   *[other] The check found { $n } problems:
}
runs-problem-no-json = No JSON object is in it.
runs-problem-broken-json = Its JSON can't be read.
runs-problem-form = It has another form than asked for.
runs-problem-many = It has too many steps.
runs-problem-cut = It was cut off.
runs-problem-thoughts = It holds only thoughts.
runs-problem-tool = It names a tool that wasn't offered.
runs-problem-rationale = The reason is missing.
runs-problem-missing = A required value is missing.
runs-problem-type = A value has the wrong type.
runs-problem-choice = A value is none of the choices.
runs-problem-large = The values are too large.
runs-problem-twice = The tool may be used only once in a plan.
runs-problem-rejected = You rejected the same step before.
runs-problem-param = { $what } ({ $param })
runs-problem-step = Step { $n }: { $what }
runs-unknown-tool = unknown tool
runs-prompt-title = Prompt of attempt { $n }
runs-back = Back to the run
runs-prompt-again = Prompts aren't kept. This one is written again from your data as of
runs-prompt-sealed = { $n ->
    [one] 1 encrypted record stays closed here.
   *[other] { $n } encrypted records stay closed here.
}
runs-prompt-reworded = The program has worded its prompts differently since.
runs-prompt-differs = { $sent } characters were sent, this text has { $now }. Records are encrypted, something changed meanwhile, or the server's tools or settings have changed since.
runs-prompt-same = { $n } characters, as many as were sent.
runs-prompt-system = System message
runs-prompt-functions = { $n ->
    [one] 1 tool goes with it as a function
   *[other] { $n } tools go with it as functions
}
runs-prompt-user = Message
runs-prompt-gone = This prompt can't be written again: the mission is gone, or its history is too long.
runs-answered = Answered; the answer passed the checks.
runs-plan = Plan
runs-to-plan = Open the plan
runs-end-running = Still running
runs-end-waiting = Waits for its next attempt
runs-end-planned = Saved in the mission
runs-end-failed = Failed
runs-end-dropped = Dropped
runs-superseded = The mission has newer plans; this one left it
runs-restored = A device had overwritten this plan; it was put back.
runs-calendar = Coming runs
runs-calendar-hint = Runs in the next { $n } days; days begin at midnight in { $zone }.
runs-times = { $n } times that day
