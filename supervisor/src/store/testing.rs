//! Has a database refuse, for the tests of those who record in it.

use std::path::Path;

use rusqlite::Connection;

/// Refuses each row for these tables, as a full disk does, until [`allow`].
pub(crate) fn refuse(database: &Path, tables: &[&str]) {
    let triggers = tables.iter().map(|table| {
        format!(
            "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table}
             BEGIN SELECT RAISE(ABORT, 'full'); END;"
        )
    });
    run(database, &triggers.collect::<String>());
}

/// Takes rows for these tables again.
pub(crate) fn allow(database: &Path, tables: &[&str]) {
    let triggers = tables.iter();
    let triggers = triggers.map(|table| format!("DROP TRIGGER refuse_{table};"));
    run(database, &triggers.collect::<String>());
}

fn run(database: &Path, sql: &str) {
    let db = Connection::open(database).expect("opens");
    db.execute_batch(sql).expect("runs");
}
