//! The commands that keep a machine's data safe: backup, restore, drill, repair.
//!
//! They work on files, with or without a daemon. A passphrase comes from a file or from the
//! terminal, never from the command line, where others could read it. It refuses a passphrase that
//! is soon guessed.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use console::Term;

use super::{Progress, Terminal, waiting};
use crate::ask::{Answer, Ask, Trouble};
use crate::backup::{self, Layout, Passphrase, Repaired, Source};
use crate::daemon::{CHINA_OFFSET_MINUTES, local_time, now_millis};
use crate::limits::{MEGABYTE, PASSPHRASE_BYTES_MAX, PASSPHRASE_BYTES_MIN};
use crate::local_api::{AskClient, AskError, LocalApiError};

/// A backup file and its passphrase.
#[derive(Debug, Clone, Args)]
pub struct BackupFlags {
    /// 备份文件 | The backup file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// 口令所在的文件（取第一行）；在终端里运行时可直接输入 | A file whose first line is the passphrase; on a terminal it can be typed
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

impl Terminal {
    /// Makes a backup of the machine, whether its daemon runs or not.
    pub fn backup(&self, layout: Layout, flags: &BackupFlags) -> Result<(), Trouble> {
        let passphrase = match &flags.passphrase_file {
            None => self.new_passphrase()?,
            given => self.passphrase(given.as_deref())?.map(long_enough).transpose()?,
        };
        let source = self.source(layout)?;
        let mut bar = Progress::new(self.lang.pick("正在备份", "backing up"), 0);
        let now = now_millis() / 1_000;
        let mut done = |bytes| bar.more(bytes);
        let written = backup::write(&source, &flags.file, passphrase.as_ref(), now, &mut done);
        drop(bar);
        let written = written.map_err(|error| error.trouble(self.program))?;
        let (manifest, file) = (written.manifest, flags.file.display());
        if self.json {
            let told = serde_json::json!({
                "file": flags.file, "name": manifest.name, "bytes": written.file_bytes,
                "changes": manifest.changes(), "secrets": manifest.secrets,
                "made_at": manifest.made_at, "spaces": manifest.spaces,
            });
            return self.print(&format!("{told}\n"));
        }
        let (changes, size) = (manifest.changes(), written.file_bytes.div_ceil(MEGABYTE));
        let mut text = self.lang.pick(
            format!("已备份 {}：{file}，变更 {changes} 条，约 {size} MB，已整份读回核对。\n", manifest.name),
            format!(
                "Backed up {} to {file}: {changes} changes, about {size} MB, read back and verified whole.\n",
                manifest.name
            ),
        );
        text.push_str(if manifest.secrets {
            self.lang.pick(
                "密钥和证书已在里面，由口令保护；口令请另处保管，忘了就打不开。\n",
                "Keys and certificates are in it, sealed by the passphrase. Keep that somewhere else; nobody can open it without.\n",
            )
        } else {
            self.lang.pick(
                "没有给口令，密钥和证书不在里面：封存的内容恢复后仍打不开，恢复的机器须重新登记、重新批准。\n",
                "No passphrase was given, so no key or certificate is in it: what is sealed stays sealed, and a restored machine must be enrolled and approved again.\n",
            )
        });
        let program = self.program;
        text.push_str(&self.lang.pick(
            format!("没有恢复过的备份不算备份，请演练一次：{program} drill {file}\n"),
            format!(
                "A backup that was never restored counts as none. Next: {program} drill {file}\n"
            ),
        ));
        self.print(&text)
    }

    /// Puts a machine back into an empty folder.
    pub fn restore(&self, layout: Layout, flags: &BackupFlags, alone: bool) -> Result<(), Trouble> {
        let passphrase = self.passphrase_for(flags)?;
        let mut bar = Progress::new(self.lang.pick("正在恢复", "restoring"), 0);
        let mut done = |bytes| bar.more(bytes);
        let restored =
            backup::restore(&flags.file, passphrase.as_ref(), &self.data, layout, alone, &mut done);
        drop(bar);
        let restored = restored.map_err(|error| error.trouble(self.program))?;
        let manifest = &restored.manifest;
        if self.json {
            let told = serde_json::json!({
                "data": self.data, "name": manifest.name, "changes": manifest.changes(),
                "secrets": manifest.secrets, "made_at": manifest.made_at, "waits": restored.waits,
            });
            return self.print(&format!("{told}\n"));
        }
        let (name, changes, data) = (&manifest.name, manifest.changes(), self.data.display());
        let made = local_time(manifest.made_at, CHINA_OFFSET_MINUTES);
        let mut text = self.lang.pick(
            format!("已恢复 {name} 到 {data}：变更 {changes} 条，备份做于 {made}。\n"),
            format!("Restored {name} into {data}: {changes} changes, backed up at {made}.\n"),
        );
        let mut say = |zh: &str, en: &str| {
            let _ = writeln!(text, "{}", self.lang.pick(zh, en));
        };
        if !manifest.secrets {
            if layout.hub {
                say(
                    "备份里没有平台的密钥：请运行 init 重新建立，各社区的电脑都要重新登记。",
                    "The hub's authority was not in it: found it anew with `init`; every machine must be enrolled again.",
                );
            } else {
                say(
                    "备份里没有本机的密钥：请用新的邀请和新的名字 enrol，再由已批准的电脑批准。",
                    "This machine's keys were not in it: enrol it with a new invitation under a new name, then have it approved.",
                );
            }
        }
        if layout.hub && manifest.secrets {
            say(
                "请核对电脑名单（nodes）：备份之后停用的电脑要再停用一次；之后登记的会自动补上；之前发出的邀请一律作废，请重发。",
                "Check the list of machines (`nodes`): revoke again what was revoked since the backup. Machines enrolled since come back by themselves; invitations given before are void, make new ones.",
            );
        }
        match (restored.waits, layout.hub) {
            (true, true) => say(
                "各社区在有电脑连上并核对一致之前只能查看。备份之后的内容由各社区的电脑补回。",
                "Each community is for reading only until one of its desks has connected and agrees. Desks give back what came after the backup.",
            ),
            (true, false) => say(
                "与街道平台核对一致之前，本机只能查看。备份之后的内容由平台补回。原来那台电脑不要再用。",
                "Until it agrees with its hub, this machine is for reading only. The hub gives back what came after the backup. Never use the old machine again.",
            ),
            (false, _) => say(
                "按要求立即可以修改；备份之后的内容如无人保存，就没有了。",
                "It takes edits at once, as asked; what came after the backup is lost unless somebody holds it.",
            ),
        }
        say("下一步：", "Next:");
        let _ = writeln!(text, "  {} serve --data {data}", self.program);
        self.print(&text)
    }

    /// Proves that a backup can be restored.
    pub fn drill(&self, layout: Layout, flags: &BackupFlags) -> Result<(), Trouble> {
        let passphrase = self.passphrase_for(flags)?;
        let mut bar = Progress::new(self.lang.pick("正在演练", "drilling"), 0);
        let mut done = |bytes| bar.more(bytes);
        let report = backup::drill(&flags.file, passphrase.as_ref(), layout, &mut done);
        drop(bar);
        let report = report.map_err(|error| error.trouble(self.program))?;
        let manifest = &report.manifest;
        let seconds = report.took.as_secs_f64();
        if self.json {
            let told = serde_json::json!({
                "name": manifest.name, "made_at": manifest.made_at, "secrets": manifest.secrets,
                "changes": manifest.changes(), "records": report.records,
                "documents": report.documents, "entries": report.entries, "cells": report.cells,
                "envelopes": report.envelopes, "spaces": manifest.spaces, "seconds": seconds,
            });
            return self.print(&format!("{told}\n"));
        }
        let made = local_time(manifest.made_at, CHINA_OFFSET_MINUTES);
        let (name, spaces) = (&manifest.name, manifest.spaces.len());
        let backup::DrillReport { records, documents, entries, cells, envelopes, .. } = report;
        self.print(&self.lang.pick(
            format!(
                "演练通过，用时 {seconds:.1} 秒：{name}，备份做于 {made}。\n已恢复到临时目录并打开；读过日志 {records} 条，\
                 比对文档 {documents} 份，用密钥打开封套 {envelopes} 个，重算记录 {entries} 条、数 {cells} 个，{spaces} 个空间的摘要与备份时一致；临时目录已删除。\n"
            ),
            format!(
                "The drill passed in {seconds:.1} s: {name}, backed up at {made}.\nRestored into a temporary \
                 folder and opened; {records} records read, {documents} documents compared, {envelopes} envelopes opened \
                 with its keys, {entries} entries \
                 and {cells} figures counted again, the digests of {spaces} spaces are those of the backup; \
                 the folder is removed.\n"
            ),
        ))
    }

    /// Mends the store at rest.
    pub fn repair(&self) -> Result<(), Trouble> {
        let what = self.lang.pick("正在检查", "checking");
        let done = waiting(what, || backup::repair(&self.data));
        let done = done.map_err(|error| error.trouble(self.program))?;
        if self.json {
            let lost = done
                .salvaged
                .as_ref()
                .map(|report| report.damage.iter().map(ToString::to_string).collect::<Vec<_>>());
            let told = serde_json::json!({
                "journal": done.journal, "lost": lost, "views": done.views, "changes": done.changes,
            });
            return self.print(&format!("{told}\n"));
        }
        self.print(&self.told_of(&done))
    }

    fn told_of(&self, done: &Repaired) -> String {
        let changes = done.changes;
        let mut text = String::new();
        let mut say = |zh: String, en: String| {
            let _ = writeln!(text, "{}", self.lang.pick(zh, en));
        };
        if let Some(why) = &done.journal {
            say(format!("日志有损坏：{why}"), format!("The journal was damaged: {why}"));
        }
        if let Some(report) = &done.salvaged {
            let (kept, notes) = (report.changes, report.notes);
            say(
                format!(
                    "已救出完好的部分：变更 {kept} 条，备注 {notes} 条；损坏的文件改名保留在旁边。"
                ),
                format!(
                    "What is intact was saved: {kept} changes, {notes} notes; the damaged files stay beside it."
                ),
            );
            for damage in &report.damage {
                say(format!("  丢失：{damage}"), format!("  lost: {damage}"));
            }
            say(
                "缺的内容，下次连上街道平台或其他电脑时会自动补回。".into(),
                "At the next link, the hub or other machines fill up what is lost.".into(),
            );
        }
        match (&done.views, &done.journal) {
            (Some(why), _) => say(
                format!("索引须重建（{why}），下次启动时从日志自动完成。"),
                format!(
                    "The views are derived again ({why}); the next start does it from the journal."
                ),
            ),
            (None, None) => say(
                format!("日志（变更 {changes} 条）和索引都完好，没有要修的。"),
                format!(
                    "The journal ({changes} changes) and the views are sound; nothing is to be done."
                ),
            ),
            (None, Some(_)) => {}
        }
        text
    }

    /// The machine over the data folder: as its daemon tells, or as it lies where none runs.
    fn source(&self, layout: Layout) -> Result<Source, Trouble> {
        let answered = AskClient::find(&self.data).and_then(|daemon| daemon.ask(&Ask::Snapshot {}));
        match answered {
            Ok(Answer::Snapshot(told)) => {
                let extent = told.extent().ok_or_else(|| Trouble {
                    code: "no-answer".into(),
                    zh: "看不懂服务的回答。请使用同一版本的命令和服务。".into(),
                    en: "The daemon's answer is not understood. Use one version of command and daemon."
                        .into(),
                })?;
                Ok(Source::running(&self.data, layout, told.name, told.epoch, extent))
            }
            Ok(Answer::Trouble(trouble)) => Err(trouble),
            Err(AskError::Api(LocalApiError::Absent { .. }) | AskError::Gone { .. }) => {
                Source::at_rest(&self.data, layout).map_err(|error| error.trouble(self.program))
            }
            Err(error) => Err(error.trouble(self.program)),
            Ok(_) => Err(Trouble {
                code: "no-answer".into(),
                zh: "服务答非所问。请使用同一版本的命令和服务。".into(),
                en: "The daemon answered something else. Use one version of command and daemon."
                    .into(),
            }),
        }
    }

    /// The passphrase of a backup that is there; asked for only where one is needed.
    fn passphrase_for(&self, flags: &BackupFlags) -> Result<Option<Passphrase>, Trouble> {
        let sealed = backup::is_sealed(&flags.file).map_err(|error| error.trouble(self.program))?;
        if !sealed {
            return Ok(None);
        }
        if flags.passphrase_file.is_none() && a_person_is_there() {
            let typed = Self::typed(self.lang.pick("备份的口令：", "Passphrase of the backup: "))?;
            return Ok(Some(Passphrase::new(typed.into_bytes())));
        }
        self.passphrase(flags.passphrase_file.as_deref())
    }

    /// The first line of a passphrase file.
    fn passphrase(&self, file: Option<&Path>) -> Result<Option<Passphrase>, Trouble> {
        let Some(file) = file else { return Ok(None) };
        let unusable = |why: &str| Trouble {
            code: "passphrase-file".into(),
            zh: format!("口令文件 {} 用不了：{why}。请检查后再试。", file.display()),
            en: format!("The passphrase file {} cannot be used: {why}. Check it.", file.display()),
        };
        let mut bytes = std::fs::read(file).map_err(|error| unusable(&error.to_string()))?;
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        bytes.truncate(line);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if bytes.is_empty() || bytes.len() > PASSPHRASE_BYTES_MAX {
            return Err(unusable(
                self.lang.pick("第一行是空的或太长", "its first line is empty or too long"),
            ));
        }
        Ok(Some(Passphrase::new(bytes)))
    }

    /// A passphrase for a new backup, typed twice; none where nobody is there to type one or nothing
    /// is typed.
    fn new_passphrase(&self) -> Result<Option<Passphrase>, Trouble> {
        if !a_person_is_there() {
            return Ok(None);
        }
        let first = Self::typed(
            self.lang.pick("口令（直接回车则不含密钥）：", "Passphrase (none: without keys): "),
        )?;
        if first.is_empty() {
            return Ok(None);
        }
        if Self::typed(self.lang.pick("再输一次：", "Once more: "))? != first {
            return Err(Trouble {
                code: "passphrase".into(),
                zh: "两次输入不一样。请再试一次。".into(),
                en: "The two differ. Try again.".into(),
            });
        }
        long_enough(Passphrase::new(first.into_bytes())).map(Some)
    }

    fn typed(prompt: &str) -> Result<String, Trouble> {
        let terminal = Term::stderr();
        let line = terminal.write_str(prompt).and_then(|()| terminal.read_secure_line());
        line.map_err(|error| Trouble {
            code: "terminal".into(),
            zh: format!("读不到输入：{error}。请改用 --passphrase-file。"),
            en: format!("Nothing can be read: {error}. Use --passphrase-file."),
        })
    }
}

fn a_person_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn long_enough(passphrase: Passphrase) -> Result<Passphrase, Trouble> {
    if passphrase.bytes() >= PASSPHRASE_BYTES_MIN {
        return Ok(passphrase);
    }
    Err(Trouble {
        code: "passphrase".into(),
        zh: format!("口令太短，至少 {PASSPHRASE_BYTES_MIN} 个字母，或 4 个汉字。请换一个长的。"),
        en: format!(
            "The passphrase is too short: at least {PASSPHRASE_BYTES_MIN} letters. Choose a longer one."
        ),
    })
}
