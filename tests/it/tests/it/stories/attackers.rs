//! Callers that mean a hub no good: each is closed or held within its bounds, the desk that breaks
//! the rules is named, and an honest desk works on.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linli_attack::{ATTACKS, Attack, Tally, Target, attack};
use linli_demo::office::{approve, settle, until};
use linli_runtime::ask::Ask;
use serde_json::json;

use super::{Town, entries, machine};

const YILI: &str = "yili";
/// How long they attack at least, and at most.
const LASTING: Duration = Duration::from_secs(7);
const LASTING_MAX: Duration = Duration::from_secs(480);
/// Connections of each attack.
const WIDTH: usize = 40;
/// More than any of this needs, and less than a hub that buffers without bound would take.
const MEGABYTES_MAX: u64 = 400;

#[test]
fn attackers_are_closed_and_an_honest_desk_works_on() {
    let town = Town::found("street");
    let desk = town.desk(YILI, "desk-a");
    let far = town.desk(YILI, "desk-b");
    approve(&desk, &far).unwrap();
    let pid = town.hub().pid();
    let address = address(town.hub().data());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let targets: Vec<_> = ATTACKS
        .into_iter()
        .map(|kind| {
            // One machine has few connections: each attack has a machine of its own, of which only
            // the certificate goes on.
            let mut evil = town.desk("evil", &format!("{kind:?}").to_lowercase());
            evil.kill();
            let target = Target { address, identity: evil.data().join("identity") };
            (kind, target)
        })
        .collect();
    let attacks: Vec<_> = targets
        .into_iter()
        .map(|(kind, target)| {
            let tally = Arc::new(Tally::default());
            let mine = tally.clone();
            let lasting =
                async move { attack(&target, kind, WIDTH, LASTING_MAX, &mine).await.unwrap() };
            (kind, tally, runtime.spawn(lasting))
        })
        .collect();

    // They go on until everybody was met who is to be met; a slow machine takes longer for it.
    let began = Instant::now();
    let mut edits = 0;
    let met = || {
        let known = machine(town.hub(), "demo/demo/evil/junk");
        let connections = town.hub().status().unwrap().connections.unwrap();
        known.slowed
            && known.breaches > 0
            && connections.turned_away > 0
            && attacks.iter().all(|(kind, tally, _)| was_met(*kind, tally))
    };
    while began.elapsed() < LASTING || !met() {
        let late = began.elapsed() > LASTING_MAX / 2;
        assert!(
            !late,
            "{edits} edits; {:?}",
            attacks.iter().map(|a| (a.0, &a.1)).collect::<Vec<_>>()
        );
        desk.add("issue", json!({"title": format!("照常{edits}")})).unwrap();
        settle(town.hub(), YILI, &[&desk, &far]).unwrap();
        edits += 1;
    }
    for (kind, _, attack) in attacks {
        assert!(!attack.is_finished(), "{kind:?} goes on until it is told to end");
        attack.abort();
    }
    assert!(edits > 0);
    assert_eq!(town.hub().pid(), pid);
    assert!(machine(town.hub(), "demo/demo/evil/junk").refused > 0);
    assert_eq!(town.hub().status().unwrap().slowed, ["demo/demo/evil/junk"]);
    for honest in ["demo/demo/yili/desk-a", "demo/demo/yili/desk-b"] {
        let honest = machine(town.hub(), honest);
        assert!(!honest.slowed && honest.refused == 0 && honest.breaches == 0, "{honest:?}");
    }
    let memory = peak_megabytes(pid.unwrap());
    assert!(memory < MEGABYTES_MAX, "the hub took {memory} MB");
}

/// Whether the hub has answered an attack as it should.
fn was_met(kind: Attack, tally: &Tally) -> bool {
    let answered = match kind {
        Attack::RapidResets | Attack::HeaderFlood | Attack::SlowHandshakes => tally.closed() > 0,
        Attack::Junk => tally.closed() > 0 && tally.done() > 0,
        // Held by windows, places and signs of life; the last takes longer than this.
        Attack::IdleConnections | Attack::TinyWindows | Attack::NeverReading => true,
    };
    tally.opened() > 0 && answered
}

#[test]
fn a_revoked_desk_is_cut_off_at_once_and_stays_so() {
    let town = Town::found("street");
    let desk = town.desk(YILI, "desk-a");
    let bystander = town.desk(YILI, "desk-b");
    approve(&desk, &bystander).unwrap();
    desk.add("issue", json!({"title": "之前"})).unwrap();
    settle(town.hub(), YILI, &[&desk, &bystander]).unwrap();
    let name = "demo/demo/yili/desk-a";
    assert!(machine(town.hub(), name).connected);

    let revoked = Instant::now();
    town.hub().ask(&Ask::Revoke { machine: name.into() }).unwrap();
    until("the link has ended", || Ok((!machine(town.hub(), name).connected).then_some(())))
        .unwrap();
    let took = revoked.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    println!("revoked to cut off: {took:?}");
    // What it writes from now on reaches nobody, however often it asks.
    desk.add("issue", json!({"title": "之后"})).unwrap();
    until("the desk is told", || {
        let error = desk.status()?.last_error.unwrap_or_default();
        Ok(error.contains("Revoked").then_some(()))
    })
    .unwrap();
    bystander.add("issue", json!({"title": "照常"})).unwrap();
    settle(town.hub(), YILI, &[&bystander]).unwrap();
    assert!(desk.status().unwrap().unsent > 0);
    let titles: Vec<_> = entries(town.hub(), YILI, "issue")
        .into_iter()
        .map(|mut entry| entry.fields.remove("title").unwrap())
        .collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(!titles.contains(&json!("之后")), "{titles:?}");
    assert!(!machine(town.hub(), name).connected);
}

/// The local API's cells of the table of access, over its own socket.
#[test]
fn the_local_api_answers_who_has_the_token_and_nobody_else() {
    let town = Town::found("street");
    let desk = town.desk(YILI, "desk-a");
    let (hub_at, hub_token) = local_api(town.hub().data());
    let (desk_at, desk_token) = local_api(desk.data());
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let cases = [(&hub_at, &hub_token, &desk_token), (&desk_at, &desk_token, &hub_token)];
    for (at, own, foreign) in cases {
        let ask = |method: &str, path: &str, who: &str| http(at, method, path, who);
        let served = ask("POST", "/v1/ask", &bearer(own));
        assert!(served.starts_with("HTTP/1.1 200") && served.contains("status"), "{served}");
        let missing = ask("POST", "/v1/other", &bearer(own));
        assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
        // Who has no token of this machine is told the same of what exists and what does not.
        let refused = ask("POST", "/v1/ask", "");
        assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        for who in [String::new(), bearer(foreign), bearer("")] {
            for (method, path) in
                [("POST", "/v1/ask"), ("GET", "/v1/ask"), ("POST", "/v1/other"), ("GET", "/")]
            {
                assert_eq!(ask(method, path, &who), refused, "{method} {path} {who}");
            }
        }
    }
    // To people of a desk, another community's entry, one of no community and one that nobody
    // wrote are the same.
    let foreign = town.desk("chunhui", "desk-a");
    let entry = foreign.add("issue", json!({"title": "别处的事"})).unwrap();
    settle(town.hub(), "chunhui", &[&foreign]).unwrap();
    let show = |community: Option<&str>| {
        let (community, entry) = (community.map(super::id), entry.clone());
        let told = super::trouble(&desk, &Ask::Show { community, entry, reason: None });
        (told.code, told.zh, told.en)
    };
    assert_eq!(show(Some("chunhui")), show(Some("nowhere")));
}

fn local_api(data: &Path) -> (String, String) {
    let text = std::fs::read_to_string(data.join("local-api.json")).unwrap();
    let api: serde_json::Value = serde_json::from_str(&text).unwrap();
    let text = |name: &str| api[name].as_str().unwrap().to_owned();
    (text("address"), text("token"))
}

/// An answer whole but for its date.
fn http(at: &str, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    let body = r#"{"ask":"status"}"#;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n")
}

fn address(data: &Path) -> SocketAddr {
    let settings = std::fs::read_to_string(data.join("hub.toml")).unwrap();
    let settings: toml::Table = settings.parse().unwrap();
    settings["listen"].as_str().unwrap().parse().unwrap()
}

/// Largest memory of a process so far.
fn peak_megabytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1_000
}
