//! The wire room against the emulator.

use std::sync::Arc;

use segue::dataverse::{Dataverse, GetKey, TableWriter, WireOptions};
use segue::model::{
    Action, Batch, Cause, ColumnSet, Connection, Destination, Effect, Find, KeyDigest, Nulls,
    Operation, Position, Record, RecordId, Reply, RowFailure, RowTag, SecretSource, SourceDigest,
    Table, Target, TargetColumn, Value,
};
use segue_emulator::{CLIENT_ID, CLIENT_SECRET, Emulator, Fault, Options, TENANT_ID};
use uuid::Uuid;

struct Sandbox {
    emulator: Emulator,
    environment: Dataverse,
    _secret: tempfile::TempDir,
}

async fn sandbox() -> Sandbox {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, CLIENT_SECRET).unwrap();
    let connection = Connection {
        name: "sandbox".to_owned(),
        url: emulator.url(),
        tenant_id: TENANT_ID.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: SecretSource::File(secret),
        others: Vec::new(),
        authority: Some(emulator.authority()),
        production: false,
    };
    let environment = Dataverse::connect(&connection, &WireOptions::default())
        .await
        .unwrap();
    Sandbox {
        emulator,
        environment,
        _secret: folder,
    }
}

/// Accounts by number: number, name, revenue.
fn accounts(table: &Table) -> Arc<Target> {
    let columns = ["accountnumber", "name", "revenue"].map(|name| {
        let column = table.column(name).unwrap();
        TargetColumn::new(column.name.clone(), column.kind.clone(), Nulls::Owned)
    });
    Arc::new(Target {
        table: table.name.clone(),
        entity_set: table.entity_set.clone(),
        primary_id: table.primary_id.clone(),
        columns: columns.to_vec(),
        key: vec![0],
        key_is_primary_id: false,
    })
}

fn account(number: &str, name: &str, action: Action) -> Operation {
    let key = Uuid::new_v5(&Uuid::NAMESPACE_OID, number.as_bytes());
    Operation {
        row: RowTag {
            position: Position::new(0, 2),
            key: KeyDigest(*key.as_bytes()),
            source: SourceDigest(0),
        },
        record: Record {
            values: vec![
                Value::Text(number.into()),
                Value::Text(name.into()),
                Value::Decimal("30000.5".parse().unwrap()),
            ],
        },
        columns: ColumnSet::from_iter([1, 2]),
        action,
        standing: None,
    }
}

fn create(id: u128) -> Action {
    Action::Create(RecordId(Uuid::from_u128(id)))
}

fn effects(replies: &[Reply]) -> Vec<Effect> {
    let effect = |reply: &Reply| match reply {
        Reply::Accepted(accepted) => accepted.effect,
        Reply::Failed(failure) => panic!("{failure:?}"),
    };
    replies.iter().map(effect).collect()
}

#[tokio::test]
async fn who_we_are_and_what_a_table_has_is_read_from_the_sandbox() {
    let sandbox = sandbox().await;
    let who = sandbox.environment.who().await.unwrap();
    assert_eq!(who.organization, sandbox.emulator.organization_id());
    for name in ["account", "contacts", "lead", "new_subscription"] {
        let table = sandbox.environment.table(name).await.unwrap();
        assert!(table.keys.iter().all(|key| !key.columns.is_empty()));
    }
    let error = sandbox.environment.table("acount").await.unwrap_err();
    assert!(
        error.help().contains("account"),
        "{error}: {}",
        error.help()
    );
}

#[tokio::test]
async fn an_upsert_creates_and_then_updates_the_same_record() {
    let sandbox = sandbox().await;
    let table = sandbox.environment.table("account").await.unwrap();
    let writer = sandbox.environment.writer(accounts(&table));
    let batch = |name: &str| Batch {
        operations: vec![
            account("AW00000001", name, Action::Upsert),
            account("O'Brien & Söhne 雪", name, create(1)),
        ],
        ..Batch::default()
    };
    let replies = writer.send(&batch("A Bike Store")).await;
    assert_eq!(effects(&replies), [Effect::Created, Effect::Created]);
    let again = writer
        .send(&Batch {
            operations: vec![account("aw00000001", "B", Action::Upsert)],
            ..Batch::default()
        })
        .await;
    assert_eq!(effects(&again), [Effect::Updated]);
    assert_eq!(sandbox.emulator.rows("account").len(), 2);

    let key = GetKey::parse("accountnumber=AW00000001", &table).unwrap();
    let record = sandbox.environment.get(&table, &key).await.unwrap();
    let record: serde_json::Value = serde_json::from_str(record.unwrap().get()).unwrap();
    assert_eq!(record["name"], "B");
    assert_eq!(record["revenue"].as_f64(), Some(30000.5));
}

#[tokio::test]
async fn a_key_that_a_url_cannot_carry_is_found_and_created_by_guid() {
    let sandbox = sandbox().await;
    let table = sandbox.environment.table("account").await.unwrap();
    let writer = sandbox.environment.writer(accounts(&table));
    let keys = ["a/b", "50%", "c+d", "x&y", "q?", "a:b\\c", "#1", "<i>*"];
    let numbered = (1..).zip(keys);
    let operations = numbered.map(|(id, key)| account(key, "odd", create(id)));
    let operations = operations.collect();
    let replies = writer
        .send(&Batch {
            operations,
            ..Batch::default()
        })
        .await;
    assert_eq!(effects(&replies), [Effect::Created; 8]);

    let asked = keys.iter().map(|key| vec![Value::Text((*key).into())]);
    let found = writer.find(&Find::ByKey(asked.collect())).await.unwrap();
    assert_eq!(found.len(), keys.len());
    let update = |found: &segue::model::Found| account("unused", "even", Action::Update(found.id));
    let operations = found.iter().map(update).collect();
    let replies = writer
        .send(&Batch {
            operations,
            ..Batch::default()
        })
        .await;
    assert_eq!(effects(&replies), [Effect::Updated; 8]);
}

#[tokio::test]
async fn a_key_that_another_record_has_is_told_with_column_and_value() {
    let sandbox = sandbox().await;
    let table = sandbox.environment.table("account").await.unwrap();
    let writer = sandbox.environment.writer(accounts(&table));
    let first = account("AW1", "first", create(6));
    let second = account("AW1", "second", create(7));
    let missing = account("AW2", "x", Action::Update(RecordId(Uuid::from_u128(9))));
    let operations = vec![first, second, missing];
    let replies = writer
        .send(&Batch {
            operations,
            ..Batch::default()
        })
        .await;
    let causes: Vec<_> = replies
        .iter()
        .map(|reply| match reply {
            Reply::Accepted(_) => None,
            Reply::Failed(failure) => Some(failure.cause.clone()),
        })
        .collect();
    let number = segue::model::LogicalName::parse("accountnumber").unwrap();
    let columns = vec![(number, "AW1".to_owned())];
    assert_eq!(
        causes,
        [
            None,
            Some(Cause::Row(RowFailure::DuplicateKey { columns })),
            Some(Cause::Row(RowFailure::NotFound)),
        ]
    );
}

/// Sends so many batches of one row each at once; what each was answered.
async fn at_once(writer: TableWriter, batches: usize) -> Vec<Reply> {
    let writer = Arc::new(writer);
    let sends = (0..batches).map(|number| {
        let operation = account(&format!("AW{number:08}"), "A Bike Store", Action::Upsert);
        let batch = Batch {
            operations: vec![operation],
            ..Batch::default()
        };
        let writer = Arc::clone(&writer);
        async move { writer.send(&batch).await }
    });
    let mut under_way = tokio::task::JoinSet::new();
    sends.for_each(|send| {
        under_way.spawn(send);
    });
    under_way.join_all().await.into_iter().flatten().collect()
}

const IN_FLIGHT: usize = 40;

#[tokio::test]
async fn dozens_of_requests_whose_token_lapsed_ask_for_one_new_token() {
    let sandbox = sandbox().await;
    let table = sandbox.environment.table("account").await.unwrap();
    let writer = sandbox.environment.writer(accounts(&table));
    let before = sandbox.emulator.counts();
    sandbox.emulator.revoke_tokens();
    let replies = at_once(writer, IN_FLIGHT).await;
    assert_eq!(effects(&replies), vec![Effect::Created; IN_FLIGHT]);
    let counts = sandbox.emulator.counts();
    assert_eq!(counts.tokens - before.tokens, 1);
}

fn are_refused_for_the_token(replies: &[Reply]) {
    for reply in replies {
        let Reply::Failed(failure) = reply else {
            panic!("{reply:?}");
        };
        assert_eq!(failure.cause, Cause::Credential, "{failure:?}");
    }
    assert_eq!(replies.len(), IN_FLIGHT);
}

#[tokio::test]
async fn a_new_token_that_is_rejected_too_is_not_replaced_again() {
    let sandbox = sandbox().await;
    let table = sandbox.environment.table("account").await.unwrap();
    let writer = sandbox.environment.writer(accounts(&table));
    let before = sandbox.emulator.counts();
    sandbox
        .emulator
        .next_requests(vec![Fault::RevokeToken; IN_FLIGHT * 3]);
    let replies = at_once(writer, IN_FLIGHT).await;
    are_refused_for_the_token(&replies);
    let counts = sandbox.emulator.counts();
    assert_eq!(counts.tokens - before.tokens, 1);
    assert!(sandbox.emulator.rows("account").is_empty());
}

#[tokio::test]
async fn a_secret_that_lapsed_is_shown_once_and_not_by_each_request_in_flight() {
    let sandbox = sandbox().await;
    let table = sandbox.environment.table("account").await.unwrap();
    let writer = sandbox.environment.writer(accounts(&table));
    let before = sandbox.emulator.counts();
    sandbox.emulator.revoke_tokens();
    sandbox.emulator.client().lapse_secret();
    let replies = at_once(writer, IN_FLIGHT).await;
    are_refused_for_the_token(&replies);
    let counts = sandbox.emulator.counts();
    assert_eq!(counts.tokens - before.tokens, 1);
}
