//! Rows of views: documents, cells, amounts and contributions, as a disk gives them back.
//!
//! The first byte of an input says which. What is read must be usable: it is written again, read
//! out and edited. It refuses to know the database below.

use linli_domain::change::{Action, Change, Op};
use linli_domain::doc::{Doc, entry_of};
use linli_domain::figure::{Amount, CellKey, Contributions, Slot};
use linli_domain::id::{ActorId, CommunityId, EntryId};
use linli_domain::value::Value;

use crate::chance::Chance;
use crate::{Target, Verdict};

pub(crate) const TARGET: Target = Target { name: "rows", run, mutate, seeds };

const KINDS: u8 = 4;

fn run(input: &[u8]) -> Verdict {
    let Some((kind, row)) = input.split_first() else { return Verdict::refused("empty") };
    match kind % KINDS {
        0 => document(row),
        1 => CellKey::from_bytes(row).map_or(Verdict::refused("cell"), |cell| {
            assert_eq!(CellKey::from_bytes(&cell.to_bytes()), Ok(cell));
            Verdict::Accepted
        }),
        2 => Amount::from_bytes(row).map_or(Verdict::refused("amount"), |amount| {
            assert_eq!(Amount::from_bytes(&amount.to_bytes()), Ok(amount));
            Verdict::Accepted
        }),
        _ => Contributions::from_bytes(row).map_or(Verdict::refused("contributions"), |all| {
            assert_eq!(Contributions::from_bytes(&all.to_bytes()), Ok(all));
            Verdict::Accepted
        }),
    }
}

fn document(row: &[u8]) -> Verdict {
    let Ok(mut doc) = Doc::from_row(row) else { return Verdict::refused("document") };
    let again = Doc::from_row(&doc.to_row()).expect("our own row");
    assert_eq!(again.to_row(), doc.to_row(), "it reads back as another document");
    let _ = entry_of(&EntryId::parse("issue/1").expect("an id"), Some(&doc), None);
    let keys: Vec<String> = doc.values().map(|(key, _)| key.to_owned()).take(3).collect();
    for actor in [ActorId([1; 16]), ActorId([9; 16])] {
        let puts = keys.iter().map(|key| (key.clone(), None));
        let puts = puts.chain([("more".to_owned(), Some(Value::from("more")))]).collect();
        if let Some(change) = doc.edit(actor, 0, puts)
            && doc.check(&change).is_ok()
        {
            doc.apply(&change);
        }
    }
    let ops = vec![Op { key: "k".into(), action: Action::Put(Value::Null), preds: Vec::new() }];
    let stranger = Change::encode(ActorId([8; 16]), 1, 1, 0, doc.heads(), ops);
    let _ = doc.check(&stranger);
    Verdict::Accepted
}

fn mutate(input: &mut Vec<u8>, others: &[&[u8]], chance: &mut Chance) {
    if input.is_empty() {
        input.push(0);
    }
    let kind = input[0];
    let mut row = input.split_off(1);
    if row.len() > 40 && chance.one_in(4) {
        // The greatest number there is, where a number may stand.
        let at = chance.below(row.len());
        row.splice(at..=at, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    } else {
        crate::blind::mutate(&mut row, others, chance);
    }
    input[0] = if chance.one_in(50) { chance.bytes::<1>()[0] } else { kind };
    input.append(&mut row);
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut doc = Doc::new();
    for by in 1..4_u8 {
        let puts = vec![
            ("title".to_owned(), Some(Value::Text(format!("title {by}")))),
            (format!("only:{by}"), Some(Value::Bool(true))),
            ("number".to_owned(), Some(Value::Float(f64::from(by)))),
        ];
        let change = doc.edit(ActorId([by; 16]), 0, puts).expect("it differs");
        doc.apply(&change);
    }
    let amount = Amount { num: -3, den: 7, at_least: 1, about: 0, below: 2 };
    let cell = |period: &str| CellKey {
        metric: "M02".into(),
        community: CommunityId::parse("yili").expect("an id"),
        slot: Slot { grid: "g/1".into(), period: period.into(), category: "lighting".into() },
    };
    let cells = ["2026-03-01", "2026-03-02"].map(|day| (cell(day), amount));
    let all = cells.into_iter().collect::<Contributions>();
    let of = |kind: u8, bytes: Vec<u8>| [vec![kind], bytes].concat();
    [
        ("honest-document", of(0, doc.to_row())),
        ("honest-empty-document", of(0, Doc::new().to_row())),
        ("honest-cell", of(1, cell("2026-03").to_bytes())),
        ("honest-amount", of(2, amount.to_bytes())),
        ("honest-contributions", of(3, all.to_bytes())),
        ("crafted-version", of(0, vec![9, 0, 0, 0])),
        ("crafted-count", of(0, vec![1, 0xff, 0xff, 0xff, 0x7f])),
        ("crafted-amount-numbers", of(2, vec![1, 9, 1])),
    ]
    .map(|(name, input)| (name.to_owned(), input))
    .into()
}
