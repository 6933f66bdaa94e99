# From nothing to a first plan.

start-title = Welcome
start-lead = An agent looks after something for you: it proposes, you decide. Two steps to your first plan.
start-model = 1. Connect a model
start-model-chosen = Plans are made by { $model }.
start-model-missing = No model is connected yet. Ask the administrator of this server.
start-model-connect = Which model makes the plans?
start-model-change = Test or change it
start-model-save = Save and continue
start-template = 2. Choose what to look after
start-own = Or { $link }.
start-own-link = describe a mission of your own
start-plan = Your first plan
start-soon = Starts in a moment …
start-asking = The agent reads and thinks, since { $since }. This page shows the plan as soon as it is there.
start-waits = That didn't work.
start-again = Next try: { $at }.
start-failed = The model gave no plan.
start-try-again = Try again now
start-settings = Settings of the model
start-mission = Go to the mission
