//! The views by themselves.

use std::collections::BTreeMap;

use linli_store::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX};
use linli_store::{ViewBatch, Views, ViewsError};

use crate::engine::{Engine, over_all_engines};

over_all_engines!(rows_are_what_was_written_last, long_values_come_back_whole);

fn rows_are_what_was_written_last(engine: &impl Engine) {
    let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut views = engine.views();
    for round in 0_u32..60 {
        let mut batch = ViewBatch::new();
        for number in 0..20 {
            let key = vec![b'k', (round * 7 + number * 3) as u8 % 50];
            if (round + number) % 4 == 0 {
                batch.delete(key.clone());
                model.remove(&key);
            } else {
                batch.put(key.clone(), vec![round as u8; number as usize]);
                model.insert(key, vec![round as u8; number as usize]);
            }
        }
        views.write(&batch).expect("write");
        if round % 20 == 19 {
            views.flush().expect("flush");
            drop(views);
            views = engine.views();
        }
    }
    let all: Vec<_> = model.clone().into_iter().collect();
    assert_eq!(views.scan(b"k", None, usize::MAX).expect("scan"), all);
    assert_eq!(views.scan(b"k", Some(&all[4].0), 3).expect("scan"), all[5..8]);
    assert_eq!(views.scan(b"x", None, 9).expect("scan"), []);
    for (key, value) in &model {
        assert_eq!(views.get(key).expect("get").as_ref(), Some(value));
    }
    views.audit().expect("audit");
    views.clear().expect("clear");
    assert_eq!(views.scan(b"", None, 9).expect("scan"), []);
    views.audit().expect("audit");
}

fn long_values_come_back_whole(engine: &impl Engine) {
    let mut views = engine.views();
    let value = |bytes: usize| (0..bytes).map(|at| (at * 7 + at / 256) as u8).collect::<Vec<_>>();
    let sizes = [40_000, 6144, 6145, 100, 1 << 20, 0, 12_288];
    for bytes in sizes {
        let mut batch = ViewBatch::new();
        batch.put(*b"long", value(bytes));
        batch.put(vec![b'l'; ROW_KEY_BYTES_MAX], value(bytes / 2));
        views.write(&batch).expect("write");
        assert_eq!(views.get(b"long").expect("get"), Some(value(bytes)));
        let rows = views.scan(b"l", None, 9).expect("scan");
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].1, value(bytes));
        views.audit().expect("audit");
    }
    views.flush().expect("flush");
    drop(views);
    let mut views = engine.views();
    assert_eq!(views.get(b"long").expect("get"), Some(value(12_288)));
    let mut batch = ViewBatch::new();
    batch.delete(*b"long");
    views.write(&batch).expect("write");
    assert_eq!(views.get(b"long").expect("get"), None);
    views.audit().expect("audit");
    assert_eq!(ROW_BYTES_MAX, 8 << 20);
}

/// Sled's rows have limits; a row beyond them is refused and nothing of its batch is written.
#[test]
fn rows_beyond_the_limits_are_refused() {
    let engine = crate::engine::Real::new();
    let mut views = engine.views();
    for (key, value) in [(ROW_KEY_BYTES_MAX + 1, 1), (1, ROW_BYTES_MAX + 1)] {
        let mut batch = ViewBatch::new();
        batch.put(*b"a", *b"b");
        batch.put(vec![b'z'; key], vec![0; value]);
        assert!(matches!(views.write(&batch), Err(ViewsError::TooLong { .. })));
        assert_eq!(views.get(b"a").expect("get"), None);
    }
}
