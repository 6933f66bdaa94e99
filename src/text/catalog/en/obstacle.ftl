# Why a step cannot be carried out.

obstacle-not-described = No description says what this tool writes.
obstacle-missing = `{ $param }` is missing.
obstacle-wrong = `{ $param }` must be { $wanted }.
obstacle-no-record = There is no record { $id } in { $table }.
obstacle-nothing-to-choose = There is nothing in { $table } to put it into; create one first.
obstacle-nothing-meant = No record in { $table } is the one that is meant.
obstacle-nothing-matches = No record in { $table } has the text { $text }.
obstacle-refused = The log does not take it: { $why }.
obstacle-encrypted = `{ $field }` is encrypted, so only a device of yours can change it.
obstacle-field-of = `{ $field }` of { $table }
obstacle-kept = { $fields } changed since, and stays as it is
obstacle-wanted-text = a text
obstacle-wanted-choice = one of the choices of this field
obstacle-wanted-flag = true or false
obstacle-wanted-number = a number
obstacle-wanted-amount = a number other than 0
obstacle-wanted-day = a date such as 2026-04-15
obstacle-wanted-time = a time such as 2026-04-15T08:00:00Z
obstacle-wanted-clock = a time of day such as 08:30
obstacle-wanted-link = the id of a record
obstacle-wanted-list = a list
obstacle-wanted-map = an object
obstacle-in-record = record { $n }: { $why }
