//! An entry stays open on a screen at another desk and at the hub, and shows what it becomes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use linli_demo::office::{Daemon, settle};
use linli_runtime::ask::{Answer, EntryView};
use serde_json::json;

use super::{Town, assert_all_is_well, programs};

const YILI: &str = "yili";
const WAIT_MAX: Duration = Duration::from_secs(60);

#[test]
fn an_open_entry_shows_what_another_desk_writes_and_its_command_ends_with_the_daemon() {
    let town = Town::found("street");
    let near = town.desk(YILI, "near");
    let mut far = town.desk(YILI, "far");
    let issue = near.add("issue", json!({"title": "路灯不亮", "phone": "13912345678"})).unwrap();
    settle(town.hub(), YILI, &[&near, &far]).unwrap();

    let desk = Screen::open(&programs().node, &far, &["show", issue.as_str()]);
    let hub = Screen::open(&programs().hub, town.hub(), &["show", YILI, issue.as_str()]);
    for screen in [&desk, &hub] {
        assert_eq!(screen.next().unwrap().fields["title"], "路灯不亮");
    }
    for title in ["路灯又不亮了", "路灯修好了"] {
        near.edit(&issue, json!({"title": title})).unwrap();
        for screen in [&desk, &hub] {
            let shown = screen.next().unwrap();
            assert_eq!(shown.fields["title"], title);
            let phone = shown.fields.get("phone");
            assert!(phone.is_none_or(|text| text == "•••"), "{phone:?}");
        }
    }
    settle(town.hub(), YILI, &[&near, &far]).unwrap();

    // Nobody holds the daemon up by looking.
    far.stop().unwrap();
    assert!(desk.next().is_none(), "the command ends");
    far.resume().unwrap();
    assert_all_is_well(town.hub(), YILI, &[&near, &far]);
}

/// A command that shows an entry whenever it changes.
struct Screen {
    command: Child,
    shown: Receiver<EntryView>,
}

impl Screen {
    fn open(program: &Path, daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).args(["--follow", "--json", "--data"]).arg(daemon.data());
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut command = command.spawn().unwrap();
        let lines = BufReader::new(command.stdout.take().unwrap()).lines();
        let (show, shown) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Ok(Answer::Entry(view)) = serde_json::from_str(&line) else { return };
                if show.send(*view).is_err() {
                    return;
                }
            }
        });
        Self { command, shown }
    }

    /// What it shows next; `None` once it has ended.
    fn next(&self) -> Option<EntryView> {
        match self.shown.recv_timeout(WAIT_MAX) {
            Ok(view) => Some(view),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(error) => panic!("nothing new is shown: {error}"),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended is ended.
        let _ = self.command.kill();
        let _ = self.command.wait();
    }
}
