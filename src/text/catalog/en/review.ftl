review-title = Review
review-waiting = { $n ->
    [one] 1 plan waits
   *[other] { $n } plans wait
}
review-waiting-aside = { $n ->
    [one] plan waits
   *[other] plans wait
}
review-all-done = All done
review-nothing-waits = No plan waits for your review.
review-to-overview = Overview
review-later = Later
review-next = Next plan
review-list = Plans to review
review-one-by-one = Review one by one
review-more-missions = More missions
review-no-summary = Plan without a summary
review-look = Look
review-steps = { $n ->
    [one] 1 step
   *[other] { $n } steps
}
review-approve-checked = Approve checked
review-reject-checked = Reject checked
review-plans-approved = { $n ->
    [one] 1 plan approved.
   *[other] { $n } plans approved.
}
review-plans-rejected = { $n ->
    [one] 1 plan rejected.
   *[other] { $n } plans rejected.
}
review-plans-failed = { $n ->
    [one] 1 plan could not be saved. Try again.
   *[other] { $n } plans could not be saved. Try again.
}

# A plan and its steps
review-no-time = Time unknown
review-nothing-to-do = Nothing to do
review-status-waiting = awaits review
review-status-approved = approved
review-status-rejected = rejected
review-status-failed = failed
review-status-running = running
review-status-unknown = unknown
review-tokens = { $tokens ->
    [one] 1 token
   *[other] { $tokens } tokens
}
review-failed-attempts = { $n ->
    [one] 1 failed attempt
   *[other] { $n } failed attempts
}
review-released-before = Your devices may have carried out these steps already.
review-dismiss = Dismiss
review-approve = Approve
review-approve-all = Approve all { $n }
review-approve-rest = Approve the other { $n }
review-approve-edited = Save and approve
review-reject = Reject
review-reject-all = Reject all
review-reason = Reason (optional)
review-edit = Edit
review-say = Tell the agent something
review-feedback = Feedback
review-feedback-hint = The agent sees this before its next plan.
review-feedback-save = Save feedback
review-you-said = You said:
review-by-device = One of your devices does this.
review-by-webhook = Calls a webhook of this server.
review-would-fail = This would fail:
review-details = Details
review-tool = Tool:
review-adds = Adds to
review-deletes = Deletes from
review-changes = Changes in
review-step-undone = undone
review-step-done = done
review-step-released = released
review-step-rejected = rejected
review-step-failed = failed
review-step-skipped = skipped
review-step-called = calling
review-step-approved = approved
review-step-open = to review
review-released = Released steps are carried out by your devices.
review-undo = Undo
review-again = Decide again
review-undo-all = Undo all
review-tried = { $n ->
    [one] Failed once; will be tried again
   *[other] Failed { $n } times; will be tried again
}
review-automatic = Done without review.
review-not-undone = Not undone:

# After a decision
review-did-approve = Approved:
review-did-reject = Rejected:
review-did-undo = Undone:
review-did-fail = Could not be done:
review-did-approve-several = { $n } steps approved.
review-did-reject-several = { $n } steps rejected.

# Keys
review-keys = Keyboard shortcuts
review-key-next = Next step
review-key-previous = Previous step
review-key-approve = Approve the step
review-key-reject = Reject it with a reason
review-key-edit = Edit it
review-key-undo = Undo the last decision
review-key-help = Show these keys

# Values
review-yes = Yes
review-no = No
review-encrypted = Encrypted
review-more = { $n ->
    [one] … and 1 more
   *[other] … and { $n } more
}
