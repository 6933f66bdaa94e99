# Agents.

agents-new = New agent
agents-create = Create agent
agents-none = No agents yet. An agent has a role, a memory and a budget, and plans your missions.
agents-pause = Pause
agents-resume = Resume
agents-archive = Archive
agents-wrong-type = { $field } has a wrong type, so its default is used.
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

agents-policy = What it may propose, and do
agents-policy-hint = You approve what it proposes. Automatic steps are carried out with the plan, up to an hourly limit. The model never sees a denied tool.
agents-policy-rest = All other tools
agents-default = Default
agents-propose = Propose
agents-auto = Automatic
agents-deny = Deny
