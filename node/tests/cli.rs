//! The program as a newcomer meets it: help in both languages, and a sentence when nothing runs.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let data = std::env::temp_dir().join("linli 没有数据");
    Command::new(env!("CARGO_BIN_EXE_linli-node"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .output()
        .expect("the program starts")
}

#[test]
fn help_names_the_daily_commands_in_both_languages() {
    for (lang, word) in [("zh", "社区"), ("en", "community")] {
        let help = run(&["--lang", lang, "--help"]);
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.status.success(), "{text}");
        for command in [
            "enrol",
            "serve",
            "add",
            "step",
            "find",
            "figures",
            "import-json",
            "backup",
            "restore",
            "drill",
            "repair",
        ] {
            assert!(text.contains(command), "{lang} help names {command}:\n{text}");
        }
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn asking_without_a_daemon_says_what_to_do_next() {
    let answer = run(&["--lang", "en", "status"]);
    let text = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert_eq!(answer.status.code(), Some(1), "{text}");
    assert!(text.contains("linli-node serve"), "{text}");
}
