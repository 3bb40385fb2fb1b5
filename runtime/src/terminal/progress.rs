//! Signs of life on a terminal while something takes longer than a second.
//!
//! They go to the error stream and only if a person looks at it; a quick answer shows none.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const PATIENCE: Duration = Duration::from_secs(1);

/// A bar over a known number of items.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    began: Instant,
    shown: bool,
}

impl Progress {
    /// A bar that appears once a second has passed.
    pub fn new(what: &str, items: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(items), ProgressDrawTarget::hidden());
        let form = "{msg} [{bar:30}] {pos}/{len} {eta}";
        bar.set_style(ProgressStyle::with_template(form).expect("the form is one of indicatif's"));
        bar.set_message(what.to_owned());
        Self { bar, began: Instant::now(), shown: false }
    }

    /// Some of a work of unknown size is done.
    pub fn more(&mut self, bytes: u64) {
        self.bar.inc_length(bytes);
        self.add(bytes as usize);
    }

    /// Some items are done.
    pub fn add(&mut self, items: usize) {
        if !self.shown && self.began.elapsed() > PATIENCE && std::io::stderr().is_terminal() {
            self.shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(items as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Does work of unknown length; a spinner appears once a second has passed.
pub fn waiting<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let _sign = Sign::new(what);
    work()
}

/// A spinner in a thread of its own; it ends with this.
struct Sign {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sign {
    fn new(what: &str) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { done: None, thread: None };
        }
        let (done, ended) = channel::<()>();
        let what = what.to_owned();
        let thread = std::thread::spawn(move || {
            if ended.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            spinner.set_message(what);
            spinner.enable_steady_tick(Duration::from_millis(120));
            // An end without a word is the end all the same.
            let _ = ended.recv();
            spinner.finish_and_clear();
        });
        Self { done: Some(done), thread: Some(thread) }
    }
}

impl Drop for Sign {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            // It only draws; a panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}
