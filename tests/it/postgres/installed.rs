//! The database of an existing product: its table with row-level security, its services, and what a role of ours needs there.

use std::sync::atomic::AtomicU32;

use mana_ai::store::{Options, Store, StoreError};
use postgres::{Client, NoTls};

use super::engine::{Server, log_table, pulled, run};
use super::*;

/// The database of a product, and a role for this program.
struct Product {
    server: Server,
    role: String,
}

impl Product {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let product = Product { server: Server::new(), role: format!("mana {}", COUNT.fetch_add(1, Ordering::Relaxed)) };
        product.sql(&format!(
            "{}
             ALTER TABLE public.sync_changes ENABLE ROW LEVEL SECURITY;
             ALTER TABLE public.sync_changes FORCE ROW LEVEL SECURITY;
             CREATE POLICY own_rows ON public.sync_changes USING (user_id = current_setting('app.current_user_id', true));
             CREATE POLICY spaces ON public.sync_changes FOR SELECT
             USING (space_id = ANY (string_to_array(current_setting('app.current_user_space_ids', true), ',')));
             CREATE ROLE \"{role}\" LOGIN; CREATE ROLE \"{role} service\" LOGIN;
             GRANT SELECT, INSERT, DELETE ON public.sync_changes TO \"{role} service\"",
            log_table(),
            role = product.role,
        ));
        product
    }

    fn sql(&self, sql: &str) {
        self.server.client().batch_execute(sql).unwrap();
    }

    /// Where the program connects.
    fn address(&self) -> String {
        self.server.address_of(&self.role.replace(' ', "%20"))
    }

    fn open(&self) -> Result<Store, StoreError> {
        Store::connect(&self.address(), self.server.dir.path(), &Options::default())
    }

    /// Of how many things in the database the program's schema is made.
    fn things(&self) -> i64 {
        let count = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'mana_ai_rs') + (SELECT count(*) FROM pg_trigger \
                     WHERE tgname LIKE 'mana_ai_rs%')";
        self.server.client().query_one(count, &[]).unwrap().get(0)
    }

    /// A service that acts for a user, under the policy.
    fn service(&self, user: &str) -> Client {
        let address = self.server.address_of(&format!("{} service", self.role).replace(' ', "%20"));
        let mut client = Client::connect(&address, NoTls).unwrap();
        client.execute("SELECT set_config('app.current_user_id', $1, false)", &[&user]).unwrap();
        client
    }
}

fn row(user: &str, id: &str) -> String {
    format!(
        "INSERT INTO public.sync_changes (app_id, table_name, record_id, user_id, op, data, client_id) \
         VALUES ('notes', 'notes', '{id}', '{user}', 'insert', '{{}}', 'service')"
    )
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_role_is_told_what_it_lacks_and_works_once_it_has_that() {
    let product = Product::new();
    product.service("anna").batch_execute(&row("anna", "n1")).unwrap();
    let mut told = Vec::new();
    let store = loop {
        match product.open() {
            Ok(store) => break store,
            Err(StoreError::Lacking { role, what, grants, .. }) => {
                assert_eq!((role.as_str(), product.things()), (product.role.as_str(), 0), "{what}");
                let first = grants.split_inclusive(';').next().unwrap().trim().to_owned();
                product.sql(&first);
                assert!(!told.contains(&first), "{first} did not help");
                told.push(first);
            }
            Err(other) => panic!("{other}"),
        }
    };
    let role = &product.role;
    let database = product.server.address.rsplit('/').next().unwrap();
    assert_eq!(
        told,
        [
            format!("GRANT CREATE ON DATABASE {database} TO \"{role}\";"),
            format!("GRANT SELECT, INSERT, DELETE, TRIGGER ON public.sync_changes TO \"{role}\";"),
            format!("ALTER ROLE \"{role}\" BYPASSRLS;"),
        ]
    );
    let mut since = 0;
    assert_eq!(pulled(&store, &mut since), ["n1"]);
    // A service goes on as before, within its policy, and its rows come in.
    let mut service = product.service("anna");
    service.batch_execute(&row("anna", "n2")).unwrap();
    assert!(service.batch_execute(&row("berta", "n3")).is_err());
    assert_eq!(pulled(&store, &mut since), ["n2"]);
    // What the program writes, the service reads, and only of its user.
    let other = crate::common::insert("berta", "agents", "a", json!({}));
    run(crate::common::append(
        &store,
        [crate::common::change(&crate::common::insert("anna", "agents", "a", json!({}))), crate::common::change(&other)],
    ));
    let seen: i64 = service.query_one("SELECT count(*) FROM public.sync_changes", &[]).unwrap().get(0);
    assert_eq!(seen, 3);
    // It may not look into what is the program's, nor pretend to be it.
    for hidden in [
        "SELECT * FROM mana_ai_rs.log_order",
        "SELECT mana_ai_rs.note_arrival()",
        "INSERT INTO mana_ai_rs.arrivals (row_id) VALUES (gen_random_uuid())",
    ] {
        assert!(service.batch_execute(hidden).is_err(), "{hidden}");
    }
    // A right that is taken away is told at the next start.
    drop(store);
    product.sql(&format!("REVOKE DELETE ON public.sync_changes FROM \"{role}\""));
    let refused = product.open().err().expect("it is refused").to_string();
    assert!(
        refused.contains("lacks DELETE on public.sync_changes") && refused.contains("GRANT DELETE ON public.sync_changes TO"),
        "{refused}"
    );
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_policy_of_its_own_does_for_a_role_what_bypassrls_does() {
    let product = Product::new();
    let role = &product.role;
    product.sql(&format!(
        "CREATE SCHEMA mana_ai_rs AUTHORIZATION \"{role}\"; GRANT SELECT, INSERT, DELETE, TRIGGER ON public.sync_changes TO \"{role}\""
    ));
    assert!(matches!(product.open(), Err(StoreError::Lacking { what, .. }) if what.starts_with("BYPASSRLS")));
    product.sql(&format!("CREATE POLICY mana_ai ON public.sync_changes TO \"{role}\" USING (true) WITH CHECK (true)"));
    let store = product.open().unwrap();
    product.service("anna").batch_execute(&row("anna", "n1")).unwrap();
    assert_eq!(pulled(&store, &mut 0), ["n1"]);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_service_cannot_have_its_own_code_run_by_the_role_of_the_program() {
    let product = Product::new();
    let role = &product.role;
    product.sql(&format!(
        "CREATE SCHEMA mana_ai_rs AUTHORIZATION \"{role}\"; GRANT SELECT, INSERT, DELETE, TRIGGER ON public.sync_changes TO \"{role}\"; \
         ALTER ROLE \"{role}\" BYPASSRLS"
    ));
    let store = product.open().unwrap();
    let mut service = product.service("anna");
    service
        .batch_execute(
            "CREATE TEMP TABLE arrivals (number INT, row_id UUID); CREATE TEMP TABLE departures (number INT, row_id UUID); \
             CREATE FUNCTION pg_temp.evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$; \
             CREATE TRIGGER evil BEFORE INSERT ON arrivals FOR EACH ROW EXECUTE FUNCTION pg_temp.evil(); \
             CREATE TRIGGER evil BEFORE INSERT ON departures FOR EACH ROW EXECUTE FUNCTION pg_temp.evil()",
        )
        .unwrap();
    service.batch_execute(&row("anna", "n1")).unwrap();
    let mut since = 0;
    assert_eq!(pulled(&store, &mut since), ["n1"]);
    service.batch_execute("DELETE FROM public.sync_changes").unwrap();
    assert!(pulled(&store, &mut 0).is_empty());
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn commands_tell_of_the_server_and_of_rows_that_passed_the_triggers_by() {
    let product = Product::new();
    let mana = Mana::new().with("MANA_AI_DATABASE", product.address()).with("MANA_LLM_URL", "http://127.0.0.1:9");
    let told = |check: &str| {
        let ran = mana.run(&["doctor", "--json"]);
        let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let line = lines.into_iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("{ran:?}"));
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("found"), text("mend"))
    };
    let (status, found, mend) = told("role");
    assert!(status == "fail" && found.contains("lacks CREATE on the database; SELECT, INSERT, DELETE, TRIGGER on"), "{found}");
    product.sql(&mend);
    assert_eq!(told("role").0, "ok");
    assert!(told("server").1.contains("PostgreSQL 1") && told("server").1.contains("an answer takes"));
    assert!(told("database").1.contains("the first start makes it") && product.things() == 0);
    assert_eq!(mana.run(&["check"]).code, Some(0));
    let mut service = product.service("anna");
    service.batch_execute(&row("anna", "n1")).unwrap();
    assert!(told("database").1.contains("1 rows of other programs wait"), "{}", told("database").1);

    product.sql("ALTER TABLE public.sync_changes DISABLE TRIGGER USER");
    service.batch_execute(&row("anna", "n2")).unwrap();
    let (status, found, mend) = told("database");
    assert!(status == "fail" && found.contains("mana_ai_rs_arrival") && mend.contains("ENABLE TRIGGER"), "{found}");
    product.sql(mend.split(" Then").next().unwrap());
    assert_eq!(told("database").0, "ok");
    let check = mana.run(&["check"]);
    assert!(check.code == Some(1) && check.stdout.contains("1 rows of the log have no place"), "{check:?}");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(mana.run(&["check", "--json"]).json()[0]["rows"], 2);
    mana.run(&["backup", "copy.db"]).fails(1, "pg_dump");
    mana.run(&["restore", "copy.db"]).fails(1, "pg_restore");
}
