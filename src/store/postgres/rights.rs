//! What the role of this program may do, and what it lacks (docs/design.md, section 18).

use std::path::Path;

use ::postgres::GenericClient;

use super::store_error;
use crate::store::{StoreError, StoreResult};

/// One row about the role: its name, the database, and what it may do with the schema and with the log, where they are there.
/// A policy that lets it see and write every row does what BYPASSRLS does.
const RIGHTS: &str = "
    WITH log AS (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relname = 'sync_changes'),
    public AS (SELECT oid FROM pg_namespace WHERE nspname = 'public'),
    own AS (SELECT nspowner FROM pg_namespace WHERE nspname = 'mana_ai_rs'),
    open AS (SELECT 1 FROM log JOIN pg_policy p ON p.polrelid = log.oid WHERE p.polpermissive AND p.polcmd = '*'
        AND pg_get_expr(p.polqual, p.polrelid) = 'true' AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
        AND EXISTS (SELECT 1 FROM unnest(p.polroles) AS r (role) WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END)
        AND NOT EXISTS (SELECT 1 FROM pg_policy q WHERE q.polrelid = log.oid AND NOT q.polpermissive))
    SELECT current_user::text, quote_ident(current_user), quote_ident(current_database()),
        (SELECT quote_ident(pg_get_userbyid(nspowner)) FROM own WHERE NOT pg_has_role(nspowner, 'USAGE')) AS owner,
        EXISTS (SELECT 1 FROM own) OR has_database_privilege(current_database(), 'CREATE') AS may_make_schema,
        coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM public), true) AS may_use_public,
        EXISTS (SELECT 1 FROM log) OR coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM public), true) AS may_make_log,
        (SELECT array_to_string(ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'DELETE', 'TRIGGER']) AS p
            WHERE NOT has_table_privilege(log.oid, p)), ', ') FROM log) AS lacks_of_log,
        coalesce((SELECT row_security_active(oid) FROM log), false) AND NOT EXISTS (SELECT 1 FROM open) AS is_kept_from_rows";

/// Checks the rights of the role.
///
/// # Errors
/// [`StoreError::Lacking`], with the statements that give what it lacks.
pub(super) fn check(client: &mut impl GenericClient, path: &Path) -> StoreResult<()> {
    let row = client.query_one(RIGHTS, &[]).map_err(|error| store_error(path, &error))?;
    let (role, database): (String, String) = (row.get(1), row.get(2));
    let mut lacks = Vec::new();
    let mut lack = |what: String, grant: String| lacks.push((what, grant));
    if let Some(owner) = row.get::<_, Option<String>>("owner") {
        lack(format!("the schema mana_ai_rs, which belongs to {owner}"), format!("GRANT {owner} TO {role};"));
    }
    if !row.get::<_, bool>("may_make_schema") {
        lack("CREATE on the database".into(), format!("GRANT CREATE ON DATABASE {database} TO {role};"));
    }
    let public = [("may_use_public", "USAGE"), ("may_make_log", "CREATE")];
    for (_, right) in public.into_iter().filter(|(may, _)| !row.get::<_, bool>(*may)) {
        lack(format!("{right} on the schema public"), format!("GRANT {right} ON SCHEMA public TO {role};"));
    }
    if let Some(rights) = row.get::<_, Option<String>>("lacks_of_log").filter(|rights| !rights.is_empty()) {
        lack(format!("{rights} on public.sync_changes"), format!("GRANT {rights} ON public.sync_changes TO {role};"));
    }
    if row.get("is_kept_from_rows") {
        lack("BYPASSRLS, to see the rows of all users".into(), format!("ALTER ROLE {role} BYPASSRLS;"));
    }
    let (whats, grants): (Vec<_>, Vec<_>) = lacks.into_iter().unzip();
    if whats.is_empty() {
        return Ok(());
    }
    Err(StoreError::Lacking { path: path.to_owned(), role: row.get(0), what: whats.join("; "), grants: grants.join(" ") })
}
