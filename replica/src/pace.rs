//! How fast a session sends to a peer that does not take all it is offered.
//!
//! A peer may ask for rest: then nothing is sent until it is over, one change asks whether the
//! peer takes more, and what was put off goes before what is new. What lacks its cause is sent
//! again after pauses that double. What a comparison finds the peer to lack goes before what is new,
//! too: a hub cannot see what a sealed change depends on, and would take it without its cause. It
//! refuses to measure time by anything but ticks.

use crate::limits::{FOUND_TICKS_MAX, PAUSE_TICKS_MAX, REST_SECONDS_MAX, STUCK_PAUSE_TICKS};

/// The pace of one session.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    mode: Mode,
    /// Ticks of the last pause before what lacks its cause was sent again.
    pause: u32,
    /// Ticks of that pause that are left.
    pause_left: u32,
    /// Batches up to this number were sent before that pause, and do not make it longer.
    pause_since: u64,
    /// Ticks for which what is new waits to hear what a comparison finds.
    asked: u32,
    /// Ticks for which it waits until what was found is sent.
    found: u32,
}

/// How the peer takes what it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// It takes what comes.
    #[default]
    Free,
    /// It asked for rest; so many ticks are left.
    Rests(u32),
    /// The rest is over: one change asks whether it takes more.
    Asks,
    /// It takes more: what it put off goes first, so that causes come before what follows.
    Behind,
}

impl Pace {
    /// About a second has passed.
    pub(crate) fn tick(&mut self) {
        self.pause_left = self.pause_left.saturating_sub(1);
        self.asked = self.asked.saturating_sub(1);
        self.found = self.found.saturating_sub(1);
        if let Mode::Rests(left) = self.mode {
            self.mode = if left > 1 { Mode::Rests(left - 1) } else { Mode::Asks };
        }
    }

    /// The peer puts off what it was sent.
    pub(crate) fn rest(&mut self, seconds: u32) {
        let seconds = seconds.min(REST_SECONDS_MAX);
        self.mode = match self.mode {
            Mode::Rests(left) => Mode::Rests(left.max(seconds)),
            Mode::Free | Mode::Asks | Mode::Behind => Mode::Rests(seconds),
        };
    }

    /// The peer took a batch, or judged it at least.
    pub(crate) fn taken(&mut self) {
        if self.mode == Mode::Asks {
            self.mode = Mode::Behind;
        }
    }

    /// The peer lacks a cause of what batch `number` held; `last` is the last batch sent.
    pub(crate) fn bounced(&mut self, number: u64, last: u64) {
        // It may wait for long; other entries do not wait for it.
        self.found = 0;
        if number > self.pause_since {
            self.pause = (self.pause * 2).clamp(1, PAUSE_TICKS_MAX);
            self.pause_left = self.pause;
            self.pause_since = last;
        }
    }

    /// Half of a longer pause is over: whoever still lacks the cause may have read past it long ago,
    /// so that only a comparison finds it. Said once in a pause, and so ever more seldom.
    pub(crate) fn is_stuck(&self) -> bool {
        self.pause >= STUCK_PAUSE_TICKS && self.pause_left == self.pause / 2
    }

    /// The peer holds something new, or something more is to be sent: the cause may be there.
    pub(crate) fn hurry(&mut self) {
        (self.pause, self.pause_left) = (0, 0);
    }

    /// A comparison was begun.
    pub(crate) fn ask(&mut self) {
        self.asked = FOUND_TICKS_MAX;
    }

    /// The peer has told what it holds of some range. The other ranges come along with it.
    pub(crate) fn heard(&mut self) {
        self.asked = self.asked.min(1);
    }

    /// The peer lacks nothing of what was compared: what is new has nothing to wait for.
    pub(crate) fn agreed(&mut self) {
        self.asked = 0;
    }

    /// The peer is found to lack something.
    pub(crate) fn found(&mut self) {
        self.hurry();
        self.found = FOUND_TICKS_MAX;
    }

    /// Nothing is left of what was put off, or found.
    pub(crate) fn caught_up(&mut self) {
        self.found = 0;
        if matches!(self.mode, Mode::Asks | Mode::Behind) {
            self.mode = Mode::Free;
        }
    }

    /// What is new may be sent.
    pub(crate) fn is_free(&self) -> bool {
        self.mode == Mode::Free && self.asked == 0 && self.found == 0
    }

    /// The peer has asked for rest, and has not yet taken anything since.
    pub(crate) fn is_resting(&self) -> bool {
        matches!(self.mode, Mode::Rests(_) | Mode::Asks)
    }

    /// One change is sent, to ask whether the peer takes more.
    pub(crate) fn asks(&self) -> bool {
        self.mode == Mode::Asks
    }

    /// What the peer lacks may be sent again.
    pub(crate) fn may_repair(&self) -> bool {
        self.pause_left == 0 && !matches!(self.mode, Mode::Rests(_))
    }
}
