# Why a mission runs or waits. Logs and JSON say the same in English, so numbers have no groups there.

decision-agent-named = agent { $agent } is { $state }
decision-agent = the agent is { $state }
decision-concurrency = { NUMBER($running, useGrouping: "false") } of at most { NUMBER($allowed, useGrouping: "false") } runs in flight
decision-budget-none = { NUMBER($used, useGrouping: "false") } tokens in the last 24 hours, no cap
decision-budget = { NUMBER($used, useGrouping: "false") } of { NUMBER($allowed, useGrouping: "false") } tokens used in the last 24 hours
decision-review-none = { NUMBER($awaiting, useGrouping: "false") } plans await review, no limit
decision-review-below = { NUMBER($awaiting, useGrouping: "false") } plans await review, at { NUMBER($allowed, useGrouping: "false") } it waits (MAX_UNREVIEWED_PLANS)
decision-review-reached = { NUMBER($awaiting, useGrouping: "false") } plans await review, at { NUMBER($allowed, useGrouping: "false") } it waits (MAX_UNREVIEWED_PLANS); review one to go on
decision-running = a run of it is in flight
decision-idle = no run of it is in flight
decision-retry-none = no failed attempt waits
decision-retry =
    { $failed ->
        [one] 1 attempt
       *[other] { NUMBER($failed, useGrouping: "false") } attempts
    } failed, the next may start at { $at }
decision-model = the model server may be asked
decision-model-closed = the model server failed repeatedly and is not asked before { $until }
decision-client-none = no other client runs it
decision-client = a client runs it, last heard of at { $at }; the server takes over after { $seconds } s of silence
decision-client-silent = a client that ran it was last heard of at { $at }, which is not within the last { $seconds } s
decision-calls-none = { NUMBER($used, useGrouping: "false") } model calls of the user in the last 24 hours, no limit
decision-calls = { NUMBER($used, useGrouping: "false") } of { NUMBER($allowed, useGrouping: "false") } model calls of the user in the last 24 hours (USER_MAX_CALLS_PER_DAY)
decision-tokens-none = { NUMBER($used, useGrouping: "false") } tokens of the user in the last 24 hours, no limit
decision-tokens = { NUMBER($used, useGrouping: "false") } of { NUMBER($allowed, useGrouping: "false") } tokens of the user in the last 24 hours (USER_MAX_TOKENS_PER_DAY)

decision-state = the mission is { $state }
decision-due-soon = no next time is set; the server sets the one of its schedule at its next tick
decision-due-never = no next time is set
decision-due = next time { $at }, now { $now }
decision-cadence = cadence { $cadence }
decision-cadence-bad = { $why }; it counts as manual
decision-agent-none = no agent is set, so none of its gates applies
decision-agent-gone = agent { $agent } does not exist, so none of its gates applies
decision-page-due = { $at }; now it is { $now }
decision-page-running = a run is under way
decision-page-idle = no other run is under way
decision-page-concurrency = { $running } of at most { $allowed } at the same time
decision-page-budget-none = { $used } in the last 24 hours, no limit
decision-page-budget = { $used } of { $allowed } in the last 24 hours
decision-page-review-none =
    { $awaiting ->
        [one] 1 plan waits
       *[other] { $awaiting } plans wait
    } for your review, no limit
decision-page-review-below =
    { $awaiting ->
        [one] 1 plan waits
       *[other] { $awaiting } plans wait
    } for your review; at { $allowed } the mission waits
decision-page-review-reached =
    { $awaiting ->
        [one] 1 plan waits
       *[other] { $awaiting } plans wait
    } for your review; at { $allowed } the mission waits. Review one to go on
decision-page-failed =
    { $failed ->
        [one] 1 attempt failed
       *[other] { $failed } attempts failed
    }; next try at the earliest: { $at }

decision-title-state = State
decision-title-due = Next time
decision-title-cadence = Schedule
decision-title-agent = Agent
decision-title-archived = Agent not archived
decision-title-paused = Agent not paused
decision-title-concurrency = Parallel plans
decision-title-budget = Daily token limit
decision-title-review = Your review
decision-title-idle = Other runs
decision-title-retry = Retry
decision-title-model = Model
decision-title-client = Other devices
decision-title-calls = Your model calls
decision-title-tokens = Your tokens
