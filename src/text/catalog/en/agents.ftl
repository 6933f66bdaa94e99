# Agents.

agents-new = New agent
agents-create = Create agent
agents-none = No agents yet. An agent has a role, a memory and a budget, and plans your missions.
agents-search = Search by name
agents-by-name = Name
agents-none-found = No agent matches.
agents-pause = Pause
agents-resume = Resume
agents-archive = Archive
agents-wrong-type = { $field } has a value that can't be used; its default is used.
agents-missions = Missions
agents-missions-none = None yet.
agents-missions-add = Create one
agents-used =
    { $used ->
        [one] 1 token used in the last 24 hours. No daily limit.
       *[other] { $used } tokens used in the last 24 hours. No daily limit.
    }
agents-used-of = { $used } of { $most } tokens used in the last 24 hours.
agents-used-up = Daily token limit reached. Its missions wait until there is room again.

agents-name = Name
agents-avatar = Avatar
agents-role = Role
agents-prompt = System prompt
agents-prompt-hint = How it works and speaks. The model reads it as instructions.
agents-memory = Memory
agents-memory-hint = What it should know about you. The model never takes it as instructions.
agents-encrypted = Encrypted by your device. Only your device can show and change it.
agents-parallel = Parallel plans
agents-tokens = Daily token limit
agents-tokens-hint = Leave empty for no limit.
agents-needs-name = An agent needs a name.

agents-policy = What it may do
agents-policy-hint = You approve what it proposes. Automatic steps are carried out with the plan, up to an hourly limit. The model never sees a denied tool.
agents-policy-rest = All other tools
agents-default = Default
agents-unnamed = Not offered
agents-propose = Propose
agents-auto = Automatic
agents-deny = Deny
agents-policy-modules = By module and tool
agents-preset-asks = Asks for everything
agents-preset-asks-hint = You approve every step.
agents-preset-reads = Reads by itself
agents-preset-reads-hint = Uses tools that only read without asking, and knows their answers in its next plan. You approve everything else.
agents-preset-reads-none = For tools that only read. This server has none yet, so the agent asks for everything.
agents-read-only = Only reads.
agents-preset-acts = Acts by itself where it is safe
agents-preset-acts-hint = Writes your records without asking; you can undo each step. It still asks before it deletes or calls other services.
agents-preset-own = My own choice
agents-preset-own-hint = As set below.
agents-per-tool = By tool
agents-tools =
    { $count ->
        [one] 1 tool
       *[other] { $count } tools
    }
agents-destructive = Deletes something.

agents-try = Try before saving
agents-try-hint = Makes one plan with what stands above. Nothing is saved, and encrypted records stay closed.
agents-try-on = With the mission
agents-try-button = Try it
agents-trial = Trial with “{ $mission }”
agents-trial-empty = It proposes nothing.
agents-trial-too-many = Too many trials at once. Try again in a minute.
agents-trial-used-up = Your daily limit is reached. Try again tomorrow.
agents-trial-away = Can't reach the model. Next try: { $at }.
agents-trial-failed = No plan:
agents-trial-cost =
    { $tokens ->
        [one] 1 token
       *[other] { $tokens } tokens
    }, { $seconds } s. Nothing was saved.
