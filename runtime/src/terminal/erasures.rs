//! Erasures as people read them, and the last question before one.

use std::fmt::Write as _;

use console::Term;
use linli_domain::id::EntryId;

use super::render::listed;
use super::table::Table;
use super::{Lang, Terminal};
use crate::ask::{Answer, Ask, ErasureView, Trouble};

/// Linked entries named on the screen.
const LINKED_SHOWN_MAX: usize = 20;

impl Terminal {
    /// Erases an entry's personal fields, after a person has typed its id; with `sure` at once.
    pub fn erase(&self, entry: &EntryId, reason: &str, sure: bool) -> Result<(), Trouble> {
        let daemon = self.daemon()?;
        let ask = |dry_run| Ask::Erase { entry: entry.clone(), reason: reason.to_owned(), dry_run };
        if !sure {
            let meant = self.ask(&daemon, &ask(true))?;
            say(&warning(&meant, self.lang))?;
            if self.typed_id()? != entry.as_str() {
                return Err(Trouble {
                    code: "not-confirmed".into(),
                    zh: "输入的编号不一致，没有销毁任何内容。".into(),
                    en: "That is not the entry's id; nothing was destroyed.".into(),
                });
            }
        }
        let done = self.ask(&daemon, &ask(false))?;
        self.show(&done)
    }

    fn typed_id(&self) -> Result<String, Trouble> {
        let prompt = self.lang.pick(
            "要继续，请输入这条记录的编号（KIND/ID）：",
            "To go on, type the entry's id (KIND/ID): ",
        );
        say(prompt)?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(|error| unreadable(&error))?;
        Ok(line.trim().to_owned())
    }
}

/// On the error stream, so that the answer stays by itself.
fn say(text: &str) -> Result<(), Trouble> {
    Term::stderr().write_str(text).map_err(|error| unreadable(&error))
}

fn unreadable(error: &std::io::Error) -> Trouble {
    Trouble {
        code: "terminal".into(),
        zh: format!("读不到输入：{error}。确认无误可加 --yes。"),
        en: format!("Nothing can be read: {error}. Add --yes if you are sure."),
    }
}

/// What an erasure would mean.
fn warning(answer: &Answer, lang: Lang) -> String {
    let Answer::Erased { entry, envelopes, shared, linked, already, .. } = answer else {
        return String::new();
    };
    if *already {
        return lang.pick(
            format!("{entry} 的个人信息早已销毁。\n"),
            format!("The personal fields of {entry} were destroyed before.\n"),
        );
    }
    let mut text = lang.pick(
        format!(
            "将在本社区每台电脑和街道平台上销毁 {entry} 的个人信息（封存的修改 {envelopes} 次）。\n销毁后谁也无法恢复；公开部分和统计数不变。\n"
        ),
        format!(
            "This destroys the personal fields of {entry} ({envelopes} sealed changes) on every machine of the community and at the hub.\nNobody can bring them back; open fields and figures stay.\n"
        ),
    );
    text.push_str(&shared_note(*shared, lang));
    text.push_str(&linked_note(linked, lang));
    text
}

/// What an erasure came to.
pub(super) fn done(answer: &Answer, lang: Lang) -> String {
    let Answer::Erased { entry, shared, linked, already, dry_run, .. } = answer else {
        return String::new();
    };
    if *already || *dry_run {
        return warning(answer, lang);
    }
    let mut text = lang.pick(
        format!("{entry} · {}。其他电脑和街道平台连上后随即销毁；进度见 erasures。\n", MARK.0),
        format!(
            "{entry} · {}. Other machines and the hub follow as soon as they connect; see `erasures`.\n",
            MARK.1
        ),
    );
    text.push_str(&shared_note(*shared, lang));
    text.push_str(&linked_note(linked, lang));
    text
}

fn shared_note(shared: usize, lang: Lang) -> String {
    if shared == 0 {
        return String::new();
    }
    lang.pick(
        format!(
            "! 其中 {shared} 次由旧版本封存，没有单独的密钥：程序不再打开，但持有社区密钥和日志副本的人仍可能解开。\n"
        ),
        format!(
            "! {shared} of them were sealed by an earlier release without a key of their own: the program opens them no more, but whoever has the community's key and a copy of the journal still could.\n"
        ),
    )
}

fn linked_note(linked: &[EntryId], lang: Lang) -> String {
    if linked.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = linked.iter().take(LINKED_SHOWN_MAX).map(EntryId::as_str).collect();
    let more = if linked.len() > shown.len() { " …" } else { "" };
    let list = shown.join(" ");
    lang.pick(
        format!("! 相关记录各有自己的个人信息，需要时请分别销毁：{list}{more}\n"),
        format!("! Linked entries have personal fields of their own; erase them too where needed: {list}{more}\n"),
    )
}

/// One line for each erasure.
pub(super) fn table(erasures: &[ErasureView], lang: Lang, columns: usize) -> String {
    let mut table = Table::new(lang.pick(
        ["记录", "社区", "时间", "工位", "本机", "此前的备份最迟留到", "理由"],
        ["Entry", "Community", "Time", "Desk", "Here", "Older backups go by", "Reason"],
    ));
    for erasure in erasures {
        let here = if erasure.clean {
            lang.pick("已清除", "clean")
        } else {
            lang.pick("清除中", "being freed")
        };
        table.row([
            erasure.entry.as_str(),
            erasure.community.as_str(),
            &erasure.at.replace('T', " "),
            &erasure.by,
            here,
            &erasure.backups_until,
            &erasure.reason,
        ]);
    }
    let mut text = listed(&table, columns, lang.pick("没有销毁过。", "Nothing was erased."));
    if !erasures.is_empty() {
        let _ = writeln!(
            text,
            "{}",
            lang.pick(
                "此前做的备份里还有密钥，请按期删除；从旧备份恢复后，连上其他电脑即再次销毁。",
                "Backups made before still hold the keys; remove them by that day. A machine restored from one destroys them again once it meets the others.",
            )
        );
    }
    text
}

/// How much of this machine is still to be freed.
pub(super) fn unclean(entries: u64, lang: Lang) -> String {
    lang.pick(
        format!("{entries} 条记录的密钥已销毁，索引里的旧字节正在清除"),
        format!(
            "the keys of {entries} entries are destroyed; old bytes of the index are being freed"
        ),
    )
}

const MARK: (&str, &str) = ("个人信息已销毁", "personal fields destroyed");

/// What stands at an erased entry.
pub(super) fn mark(lang: Lang) -> &'static str {
    lang.pick(MARK.0, MARK.1)
}

/// A state, with the mark where the entry was erased.
pub(super) fn beside(state: &str, erased: bool, lang: Lang) -> String {
    match (state.is_empty(), erased) {
        (_, false) => state.to_owned(),
        (true, true) => mark(lang).to_owned(),
        (false, true) => format!("{state} · {}", mark(lang)),
    }
}

#[cfg(test)]
mod tests {
    use linli_domain::id::CommunityId;

    use super::*;

    fn erased(shared: usize, already: bool) -> Answer {
        let id = |text| EntryId::parse(text).unwrap();
        let (entry, linked) = (id("household/a"), vec![id("issue/b")]);
        Answer::Erased { entry, envelopes: 3, shared, linked, already, dry_run: true }
    }

    #[test]
    fn a_person_is_told_what_goes_what_stays_and_what_is_linked() {
        for (lang, parts) in [
            (Lang::Zh, ["household/a", "谁也无法恢复", "issue/b", "旧版本封存"]),
            (Lang::En, ["household/a", "Nobody can bring", "issue/b", "earlier release"]),
        ] {
            let text = warning(&erased(1, false), lang);
            for part in parts {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
            assert!(!warning(&erased(0, false), lang).contains(parts[3]));
            assert!(!warning(&erased(1, true), lang).contains(parts[1]), "nothing goes twice");
        }
    }

    #[test]
    fn a_list_says_whether_this_machine_is_clean_and_until_when_backups_are_kept() {
        let erasure = ErasureView {
            entry: EntryId::parse("household/a").unwrap(),
            community: CommunityId::parse("yili").unwrap(),
            at: "2026-02-10T09:30:00".into(),
            by: "desk-a".into(),
            reason: "moved away".into(),
            clean: false,
            backups_until: "2026-03-12".into(),
        };
        let text = table(std::slice::from_ref(&erasure), Lang::Zh, 200);
        for part in ["household/a", "2026-02-10 09:30", "desk-a", "清除中", "2026-03-12"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let clean = ErasureView { clean: true, ..erasure };
        assert!(table(&[clean], Lang::En, 200).contains("clean"));
        assert!(table(&[], Lang::En, 200).contains("Nothing was erased"));
        assert_eq!(beside("已采集", true, Lang::Zh), "已采集 · 个人信息已销毁");
    }
}
