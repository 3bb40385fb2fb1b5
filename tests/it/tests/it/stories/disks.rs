//! Disks that fill up, take no writing, or rot under a running program, and folders with long and
//! Chinese names.
//!
//! A small file system is mounted for it, which takes an administrator of Linux; where that is not
//! allowed the story says so aloud, and plays the same with a limit that no disk keeps.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use linli_demo::office::{Daemon, Street, run, settle, until};
use linli_runtime::ask::{Answer, Ask, StepForm};
use linli_runtime::daemon::look_for_room;
use serde_json::json;

use super::{Town, add, assert_all_is_well, entries, programs, trouble};

const YILI: &str = "yili";
const MEGABYTE: u64 = 1_000_000;
/// Megabytes that hub and desks keep free in these stories.
const KEPT: u64 = 8;

#[test]
fn a_disk_that_fills_up_stops_edits_and_work_goes_on_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Mount::new(dir.path().join("盘"), 64);
    let kept = if disk.is_small() { KEPT } else { u64::MAX / MEGABYTE / 2 };
    let settings = [("free_megabytes_min", &*KEPT.to_string())];
    let street = Street::found_with(programs(), &disk.path, &settings).unwrap();
    let mut town = Town { street, dir };
    let mut desk = town.desk(YILI, "desk-a");
    set_kept(&mut desk, "node.toml", KEPT);
    let known = desk.add("issue", json!({"title": "路灯不亮", "phone": "13800000001"})).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    if !disk.is_small() {
        set_kept(&mut desk, "node.toml", kept);
        set_kept(&mut town.street.hub, "hub.toml", kept);
    }
    let (of_desk, of_hub) = (desk.pid(), town.hub().pid());
    disk.fill_up_to(KEPT / 2 * MEGABYTE);
    for daemon in [&desk, town.hub()] {
        until("it notices", || Ok(daemon.status()?.free_bytes)).unwrap();
    }
    let refused = trouble(&desk, &add("issue", json!({"title": "没有地方了"})));
    assert_eq!(refused.code, "disk-full");
    for (lang, word) in [("zh", "腾出空间后会自动继续"), ("en", "Make room")] {
        let said =
            said(&programs().node, desk.data(), &["add", "--lang", lang, "issue", "title=x"]);
        assert!(said.contains(word), "{said}");
        let shown = run(&programs().node, desk.data(), &["status", "--lang", lang]).unwrap();
        assert!(shown.contains("MB · "), "{shown}");
    }
    let note =
        StepForm {
            action: "dispatch_note".into(), at: None, by: None, note: Some("知悉".into())
        };
    let step = Ask::Step {
        community: Some(super::id(YILI)),
        entry: known.clone(),
        step: note,
        fields: std::collections::BTreeMap::new(),
    };
    assert_eq!(trouble(town.hub(), &step).code, "disk-full");
    assert_eq!(entries(&desk, YILI, "issue").len(), 1, "reading goes on");
    disk.make_room();
    if !disk.is_small() {
        set_kept(&mut desk, "node.toml", 0);
        set_kept(&mut town.street.hub, "hub.toml", 0);
    }
    for daemon in [&desk, town.hub()] {
        until("there is room", || Ok(daemon.status()?.free_bytes.is_none().then_some(()))).unwrap();
    }
    if disk.is_small() {
        assert_eq!((desk.pid(), town.hub().pid()), (of_desk, of_hub), "without a restart");
    }
    desk.add("issue", json!({"title": "又有地方了"})).unwrap();
    town.hub().ask(&step).unwrap();
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn a_disk_that_is_full_in_earnest_costs_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Mount::new(dir.path().join("disk"), 48);
    if !disk.is_small() {
        return;
    }
    let settings = [("free_megabytes_min", "0")];
    let town = Town { street: Street::found_with(programs(), dir.path(), &settings).unwrap(), dir };
    let data = disk.path.join("desk");
    std::fs::create_dir(&data).unwrap();
    let invite = Ask::Invite { community: super::id(YILI), hours: 1 };
    let Answer::Invitation { token, .. } = town.hub().ask(&invite).unwrap() else {
        panic!("an invitation")
    };
    run(&programs().node, &data, &["enrol", &token, "--name", "desk-a"]).unwrap();
    let mut desk = Daemon::start(&programs().node, &data, &[]).unwrap();
    set_kept(&mut desk, "node.toml", 0);
    settle(town.hub(), YILI, &[&desk]).unwrap();
    disk.fill_up_to(2 * MEGABYTE);
    let mut answered = 0;
    for number in 0..2_000 {
        let title = format!("{number} {}", "满".repeat(300));
        match desk.add("issue", json!({"title": title, "detail": "满".repeat(2_000)})) {
            Ok(_) => answered += 1,
            Err(_) => break,
        }
    }
    assert!((1..2_000).contains(&answered), "{answered} were taken by a full disk");
    disk.make_room();
    desk.kill();
    desk.resume().unwrap();
    let held = entries(&desk, YILI, "issue").len();
    // The last one was not answered; it may have come to the disk all the same.
    assert!(held == answered || held == answered + 1, "{held} of {answered}");
    desk.add("issue", json!({"title": "又有地方了"})).unwrap();
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn a_folder_that_takes_no_writing_is_named_and_works_again_once_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Mount::new(dir.path().join("disk"), 48);
    if !disk.is_small() {
        return;
    }
    let settings = [("free_megabytes_min", "0")];
    let street = Street::found_with(programs(), &disk.path, &settings).unwrap();
    let town = Town { street, dir };
    let mut desk = town.desk(YILI, "desk-a");
    set_kept(&mut desk, "node.toml", 0);
    desk.add("issue", json!({"title": "路灯不亮"})).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    desk.stop().unwrap();
    let Town { mut street, dir } = town;
    street.hub.stop().unwrap();
    disk.remount("ro");
    for (program, daemon) in [(&programs().node, &desk), (&programs().hub, &street.hub)] {
        for (lang, word) in [("zh", "请检查权限和磁盘"), ("en", "Check its rights")] {
            let said = said(program, daemon.data(), &["serve", "--lang", lang]);
            assert!(said.contains(word), "{said}");
        }
    }
    disk.remount("rw");
    street.hub.resume().unwrap();
    desk.resume().unwrap();
    let town = Town { street, dir };
    desk.add("issue", json!({"title": "又能写了"})).unwrap();
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn rot_under_a_running_desk_is_named_by_its_audit_and_mended_by_repair() {
    let town = Town::found("street");
    let mut desk = town.desk(YILI, "desk-a");
    for number in 0..30 {
        desk.add("issue", json!({"title": format!("诉求 {number}"), "phone": "13800000001"}))
            .unwrap();
    }
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let segment = desk.data().join("journal").join("00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 0x10;
    overwrite(&segment, used / 2, &bytes[used / 2..=used / 2]);
    for (lang, words) in
        [("zh", ["segment 1, byte", "请停止程序"]), ("en", ["segment 1, byte", "run `repair`"])]
    {
        for command in ["audit", "status"] {
            let shown = run(&programs().node, desk.data(), &[command, "--lang", lang]).unwrap();
            assert!(words.iter().all(|word| shown.contains(word)), "{command}: {shown}");
        }
    }
    let log = std::fs::read_to_string(desk.log_path()).unwrap();
    assert!(log.contains("the audit found damage"), "{log}");
    desk.stop().unwrap();
    run(&programs().node, desk.data(), &["repair"]).unwrap();
    desk.resume().unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    assert_eq!(entries(&desk, YILI, "issue").len(), 30);
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

#[test]
fn folders_with_spaces_chinese_and_long_names_do_for_everything() {
    let deep = ["翠竹社区 台账", "二〇二六年", "a b", &"长".repeat(60), &"x".repeat(100)];
    let dir = tempfile::tempdir().unwrap();
    let below = deep.iter().fold(dir.path().to_owned(), |path, part| path.join(part));
    std::fs::create_dir_all(&below).unwrap();
    assert!(below.as_os_str().len() > 300);
    let town = Town { street: Street::found(programs(), &below).unwrap(), dir };
    let mut desk = town.desk(YILI, "desk-a");
    desk.add("issue", json!({"title": "路灯不亮", "phone": "13800000001"})).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    let words = below.join("口令 文件");
    std::fs::write(&words, "一句只有办公室知道的话\n").unwrap();
    let (file, words) = (below.join("备份 1.linli"), words.to_str().unwrap().to_owned());
    let file_text = file.to_str().unwrap();
    let flags = [file_text, "--passphrase-file", &words];
    run(&programs().node, desk.data(), &[&["backup"], &flags[..]].concat()).unwrap();
    run(&programs().node, desk.data(), &[&["drill"], &flags[..]].concat()).unwrap();
    desk.stop().unwrap();
    let data = below.join("恢复 到这里");
    run(&programs().node, &data, &[&["restore"], &flags[..]].concat()).unwrap();
    let desk = Daemon::start(&programs().node, &data, &[]).unwrap();
    settle(town.hub(), YILI, &[&desk]).unwrap();
    assert_eq!(entries(&desk, YILI, "issue").len(), 1);
    assert_all_is_well(town.hub(), YILI, &[&desk]);
}

/// Writes some bytes in the middle of a file, as rot would change them.
fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    use std::io::{Seek as _, SeekFrom, Write as _};
    let mut file = std::fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(bytes).unwrap();
}

/// What a command that fails says.
fn said(program: &Path, data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).arg("--data").arg(data).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Gives a machine another limit, which takes a restart.
fn set_kept(daemon: &mut Daemon, file: &str, megabytes: u64) {
    daemon.kill();
    let path = daemon.data().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("free_megabytes_min = ")).unwrap();
    let text = text.replace(line, &format!("free_megabytes_min = {megabytes}"));
    std::fs::write(&path, text).unwrap();
    daemon.resume().unwrap();
}

/// A small file system, or an ordinary folder where none may be mounted.
struct Mount {
    path: PathBuf,
    mounted: bool,
}

impl Mount {
    fn new(path: PathBuf, megabytes: u64) -> Self {
        std::fs::create_dir(&path).unwrap();
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "linli-test"]).arg(&path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!(
                "NOT TESTED HERE: no file system may be mounted, so no disk fills up for real"
            );
        }
        Self { path, mounted }
    }

    fn is_small(&self) -> bool {
        self.mounted
    }

    fn free(&self) -> u64 {
        look_for_room(&self.path)().unwrap()
    }

    /// Leaves so many bytes.
    fn fill_up_to(&self, left: u64) {
        if !self.mounted {
            return;
        }
        let many = self.free() - left;
        let mut file = std::fs::File::create(self.path.join("ballast")).unwrap();
        std::io::copy(&mut std::io::Read::take(std::io::repeat(1), many), &mut file).unwrap();
        assert!(self.free() <= left + MEGABYTE);
    }

    fn make_room(&self) {
        if self.mounted {
            std::fs::remove_file(self.path.join("ballast")).unwrap();
        }
    }

    /// A program that ended may hold a file for a moment longer.
    fn remount(&self, how: &str) {
        let option = format!("remount,{how}");
        until("the disk can be mounted anew", || {
            let done = Command::new("mount").args(["-o", &option]).arg(&self.path).output()?;
            Ok(done.status.success().then_some(()))
        })
        .unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.mounted {
            // Programs that still run hold it; it goes with the last of them.
            let _gone = Command::new("umount").arg("-l").arg(&self.path).status();
        }
    }
}
