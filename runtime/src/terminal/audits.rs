//! Audits, and disks that run out of room, as people read them: what is wrong, what to do about it.

use super::Lang;
use crate::ask::AuditView;

/// How the last audit ended, and what is to be done about what it found.
pub(super) fn lines(told: &AuditView, lang: Lang, line: &mut impl FnMut(&str, &str, &str)) {
    let AuditView { running, ended, records, rows, documents, damage } = told;
    let counts = counts(*records, *rows, *documents, lang);
    let verdict = match damage.len() {
        0 => lang.pick("完好", "sound").to_owned(),
        places => lang.pick(format!("{places} 处损坏"), format!("{places} damaged places")),
    };
    if let Some(ended) = ended {
        line("上次检查：", "Last audit: ", &format!("{ended} · {counts} · {verdict}"));
    }
    if *running {
        line("检查：", "Audit: ", lang.pick("正在进行", "under way"));
    }
    for what in damage {
        line("  损坏：", "  damaged: ", what);
    }
    if !damage.is_empty() {
        line("  怎么办：", "  what to do: ", what_to_do(lang));
    }
}

/// What was read.
pub(super) fn counts(records: u64, rows: u64, documents: u64, lang: Lang) -> String {
    lang.pick(
        format!("日志 {records} 条、索引 {rows} 行、文档 {documents} 份"),
        format!("{records} records, {rows} rows, {documents} documents"),
    )
}

/// What is to be done about damage; its lines begin with these words.
pub(super) fn what_to_do(lang: Lang) -> &'static str {
    lang.pick(
        "journal（日志）：请停止程序，复制整个数据目录，再运行 repair，缺的由其他电脑补回；\
         views（索引）：重新启动，自动从日志重建；files（文件）：从备份放回。",
        "journal: stop the program, copy the data folder, then run `repair`; other machines fill up \
         what is lost. views: restart, they are derived again. files: put them back from a backup.",
    )
}

/// What is said of a disk that has little room left.
pub(super) fn too_little_room(lang: Lang) -> &'static str {
    lang.pick(
        "空间不够，暂停写入；清理后自动继续，不必重启",
        "too little room, so nothing is taken; make room, and work goes on without a restart",
    )
}
