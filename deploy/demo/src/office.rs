//! Real processes of a street: a hub and its desks, started, asked, cut off and ended.
//!
//! The demo, the whole-story tests and the benches drive the same programs that offices run, over
//! the same local API as their command lines. It ends only what it started.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use linli_domain::id::{CommunityId, EntryId};
use linli_runtime::ask::{Answer, Ask, FigureQuery, RecordForm, Status, StepForm};
use linli_runtime::local_api::AskClient;

/// A daemon that has not said that it serves after this long will not.
const START_MAX: Duration = Duration::from_secs(60);
/// Between two looks at something that is under way elsewhere.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How the variables begin in which cargo tells a program of its own package.
const PACKAGE_VARS: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// The two programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `linli-hub`.
    pub hub: PathBuf,
    /// `linli-node`.
    pub node: PathBuf,
}

impl Programs {
    /// Builds both with the cargo that runs us, and says where they are. Where `LINLI_PROGRAMS`
    /// names a folder that holds them freshly built, as `cargo verify` does, that is taken.
    pub fn build(release: bool) -> anyhow::Result<Self> {
        if let Some(dir) = std::env::var_os("LINLI_PROGRAMS").map(PathBuf::from) {
            let name = |name: &str| dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            return Ok(Self { hub: name("linli-hub"), node: name("linli-node") });
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // Crates whose build scripts look at who asks would be built anew for us, and again for others.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| PACKAGE_VARS.iter().any(|p| name.starts_with(p))) {
                command.env_remove(name);
            }
        }
        command.args(["build", "--quiet", "-p", "linli-node", "-p", "linli-hub"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        if release {
            command.arg("--release");
        }
        let output = command.stderr(Stdio::inherit()).output().context("cargo does not start")?;
        ensure!(output.status.success(), "the programs do not build");
        let mut found = BTreeMap::new();
        for line in output.stdout.split(|byte| *byte == b'\n') {
            let Ok(message) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
            let name = message["target"]["name"].as_str();
            if let (Some(name), Some(path)) = (name, message["executable"].as_str()) {
                found.insert(name.to_owned(), PathBuf::from(path));
            }
        }
        let mut take = |name: &str| {
            found.remove(name).with_context(|| format!("cargo built no program {name}"))
        };
        Ok(Self { hub: take("linli-hub")?, node: take("linli-node")? })
    }
}

/// A running daemon with its data folder.
#[derive(Debug)]
pub struct Daemon {
    program: PathBuf,
    data: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
    client: Option<AskClient>,
}

impl Daemon {
    /// Starts `program serve` over `data` and waits until it serves.
    pub fn start(program: &Path, data: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut daemon = Self {
            program: program.to_owned(),
            data: data.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            child: None,
            client: None,
        };
        daemon.resume()?;
        Ok(daemon)
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`]; gives how long that took.
    pub fn resume(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut child = Command::new(&self.program)
            .arg("serve")
            .args(&self.arguments)
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", self.program.display()))?;
        let log = self.log_path();
        let file = File::options().create(true).append(true).open(&log)?;
        let stderr = child.stderr.take().context("stderr was asked for")?;
        let (serves, served) = mpsc::channel();
        thread::spawn(move || keep_log(stderr, file, &serves));
        self.child = Some(child);
        if served.recv_timeout(START_MAX).is_ok() {
            self.client = Some(AskClient::find(&self.data)?);
            return Ok(began.elapsed());
        }
        self.kill();
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        let end: Vec<&str> = log.lines().rev().take(12).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        bail!("{} ended before it served:\n{}", self.program.display(), end.join("\n"))
    }

    /// Ends it at once, as a power cut would end a process.
    pub fn kill(&mut self) {
        self.client = None;
        if let Some(mut child) = self.child.take() {
            // It may be gone already; then there is nothing to end.
            let _gone = child.kill();
            let _status = child.wait();
        }
    }

    /// Asks it to end in good order, and waits.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.client = None;
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        ensure!(told.success(), "the process cannot be told to end");
        let status = child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.program.display());
        Ok(())
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its log is.
    pub fn log_path(&self) -> PathBuf {
        self.data.join("daemon.log")
    }

    /// Asks; trouble is an error.
    pub fn ask(&self, ask: &Ask) -> anyhow::Result<Answer> {
        match self.try_ask(ask)? {
            Answer::Trouble(trouble) => bail!("{}: {}", trouble.code, trouble.en),
            answer => Ok(answer),
        }
    }

    /// Asks; trouble is an answer.
    pub fn try_ask(&self, ask: &Ask) -> anyhow::Result<Answer> {
        let client = self.client.as_ref().context("the daemon does not run")?;
        Ok(client.ask(ask)?)
    }

    /// Adds an entry.
    pub fn add(&self, kind: &str, fields: serde_json::Value) -> anyhow::Result<EntryId> {
        let fields = serde_json::from_value(fields)?;
        written(self.ask(&Ask::Add { kind: kind.to_owned(), id: None, fields })?)
    }

    /// Changes fields.
    pub fn edit(&self, entry: &EntryId, fields: serde_json::Value) -> anyhow::Result<EntryId> {
        let (entry, fields) = (entry.clone(), serde_json::from_value(fields)?);
        written(self.ask(&Ask::Edit { community: None, entry, fields })?)
    }

    /// Takes a step on a business date.
    pub fn step(&self, entry: &EntryId, action: &str, at: &str) -> anyhow::Result<EntryId> {
        self.step_with(entry, action, at, serde_json::json!({}))
    }

    /// Takes a step that changes fields as well.
    pub fn step_with(
        &self,
        entry: &EntryId,
        action: &str,
        at: &str,
        fields: serde_json::Value,
    ) -> anyhow::Result<EntryId> {
        let step =
            StepForm { action: action.to_owned(), at: Some(at.to_owned()), by: None, note: None };
        let (entry, fields) = (entry.clone(), serde_json::from_value(fields)?);
        written(self.ask(&Ask::Step { community: None, entry, step, fields })?)
    }

    /// Imports records of the import form, which must all be taken; gives how many are new.
    pub fn import(&self, records: &[serde_json::Value]) -> anyhow::Result<usize> {
        let mut total = 0;
        for part in records.chunks(linli_runtime::ask::PAGE_MAX) {
            let records: Vec<RecordForm> = part
                .iter()
                .map(|record| serde_json::from_value(record.clone()))
                .collect::<Result<_, _>>()?;
            match self.ask(&Ask::Import { records, dry_run: false })? {
                Answer::Imported { added, refused, .. } if refused.is_empty() => total += added,
                Answer::Imported { refused, .. } => {
                    let (at, trouble) = &refused[0];
                    bail!("{} records refused; {}: {}", refused.len(), part[*at], trouble.en)
                }
                other => bail!("an import answered {other:?}"),
            }
        }
        Ok(total)
    }

    /// How it stands.
    pub fn status(&self) -> anyhow::Result<Status> {
        match self.ask(&Ask::Status {})? {
            Answer::Status(status) => Ok(*status),
            other => bail!("a status answered {other:?}"),
        }
    }

    /// Digest of every space of a community, as text.
    pub fn digests(&self, community: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let community = CommunityId::parse(community)?;
        match self.ask(&Ask::Digests {})? {
            Answer::Digests { digests } => Ok(digests
                .into_iter()
                .filter(|(space, _)| space.community() == Some(&community))
                .map(|(space, digest)| (space.to_string(), digest))
                .collect()),
            other => bail!("digests answered {other:?}"),
        }
    }

    /// Figures as JSON objects.
    pub fn figures(&self, query: FigureQuery) -> anyhow::Result<Vec<serde_json::Value>> {
        match self.ask(&Ask::Figures(query))? {
            Answer::Figures { figures } => Ok(figures),
            other => bail!("figures answered {other:?}"),
        }
    }

    /// Cuts its links or lets it make them again.
    pub fn set_online(&self, online: bool) -> anyhow::Result<()> {
        self.ask(&Ask::Online { online }).map(|_| ())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A street office with its hub, on loopback.
#[derive(Debug)]
pub struct Street {
    programs: Programs,
    dir: PathBuf,
    /// The hub.
    pub hub: Daemon,
}

impl Street {
    /// Founds a hub below `dir` and starts it.
    pub fn found(programs: &Programs, dir: &Path) -> anyhow::Result<Self> {
        Self::found_with(programs, dir, &[])
    }

    /// Founds a hub below `dir`, gives settings of its first `hub.toml` other values, and starts
    /// it. A setting is a key with its new value.
    pub fn found_with(
        programs: &Programs,
        dir: &Path,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let data = dir.join("hub");
        std::fs::create_dir_all(&data)?;
        // A port that was free a moment ago: it must stay the same over restarts.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let arguments = ["init", "--district", "demo", "--street", "demo", "--listen", &listen];
        run(&programs.hub, &data, &[&arguments[..], &["--host", "127.0.0.1"]].concat())?;
        let path = data.join("hub.toml");
        let mut text = std::fs::read_to_string(&path)?;
        for (key, value) in settings {
            let line = text.lines().find(|line| line.starts_with(&format!("{key} = ")));
            let line = line.with_context(|| format!("hub.toml has no setting {key}"))?.to_owned();
            text = text.replace(&line, &format!("{key} = {value}"));
        }
        std::fs::write(&path, text)?;
        let hub = Daemon::start(&programs.hub, &data, &[])?;
        Ok(Self { programs: programs.clone(), dir: dir.to_owned(), hub })
    }

    /// Enrols a desk of a community and starts it.
    pub fn desk(&self, community: &str, name: &str) -> anyhow::Result<Daemon> {
        let data = self.dir.join(format!("{community}-{name}"));
        std::fs::create_dir_all(&data)?;
        let invite = Ask::Invite { community: CommunityId::parse(community)?, hours: 1 };
        let Answer::Invitation { token, .. } = self.hub.ask(&invite)? else {
            bail!("the hub gives no invitation");
        };
        run(&self.programs.node, &data, &["enrol", &token, "--name", name])?;
        Daemon::start(&self.programs.node, &data, &[])
    }
}

/// Lets `new` read sealed halves, as two persons would: the code it shows is typed at `old`.
pub fn approve(old: &Daemon, new: &Daemon) -> anyhow::Result<()> {
    let status = new.status()?;
    let code = status.code.context("the new desk shows no code")?;
    let machine = status.name.rsplit('/').next().unwrap_or_default().to_owned();
    let ring = until("the request reaches the old desk", || {
        let ask = Ask::Approve { machine: machine.clone(), code: code.clone() };
        match old.try_ask(&ask)? {
            Answer::Approved { ring_code } => Ok(Some(ring_code)),
            _ => Ok(None),
        }
    })?;
    until("the key reaches the new desk", || {
        Ok((new.status()?.ring_code.as_ref() == Some(&ring)).then_some(()))
    })
}

/// Waits until all replicas of a community hold the same as the hub.
pub fn settle(hub: &Daemon, community: &str, desks: &[&Daemon]) -> anyhow::Result<()> {
    until(&format!("the replicas of {community} agree"), || {
        let wanted = hub.digests(community)?;
        for desk in desks {
            if desk.digests(community)? != wanted || desk.status()?.unsent > 0 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
}

/// Looks until there is an answer, or a minute has passed.
pub fn until<T>(
    what: &str,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = look()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < deadline, "waited a minute until {what}");
        thread::park_timeout(LOOK_EVERY);
    }
}

fn written(answer: Answer) -> anyhow::Result<EntryId> {
    match answer {
        Answer::Written { entry, .. } => Ok(entry),
        other => bail!("a write answered {other:?}"),
    }
}

/// Runs a command of one of the programs to its end.
pub fn run(program: &Path, data: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .arg("--data")
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} does not start", program.display()))?;
    ensure!(
        output.status.success(),
        "{} {} failed:\n{}{}",
        program.display(),
        arguments.first().unwrap_or(&""),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn keep_log(stderr: impl std::io::Read, mut file: File, serves: &mpsc::Sender<()>) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let told = file.write_all(&line).and_then(|()| file.write_all(b"\n"));
        if told.is_err() {
            return;
        }
        if line.windows(7).any(|word| word == b"serving") {
            // Nobody waits any more after the first word.
            let _heard = serves.send(());
        }
    }
}
