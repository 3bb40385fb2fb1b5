//! The most recent commits, kept in memory as they were written.
//!
//! Readers that follow closely are served from here without a system call. Bounded in bytes; it
//! refuses to hold what is not durable.

use std::collections::VecDeque;

use bytes::Bytes;

use super::segment::Position;

#[derive(Debug, Default)]
pub(crate) struct Tail {
    commits: VecDeque<(Position, Bytes)>,
    bytes: usize,
    bytes_max: usize,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { commits: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Takes the bytes of a commit, which stand at `start`.
    pub(crate) fn push(&mut self, start: Position, commit: Bytes) {
        self.bytes += commit.len();
        self.commits.push_back((start, commit));
        while self.bytes > self.bytes_max {
            match self.commits.pop_front() {
                Some((_, oldest)) => self.bytes -= oldest.len(),
                None => break,
            }
        }
    }

    /// The commit that holds this place, and the place's offset in it.
    pub(crate) fn find(&self, place: Position) -> Option<(&Bytes, usize)> {
        let after = self.commits.partition_point(|(start, _)| *start <= place);
        let (start, commit) = self.commits.get(after.checked_sub(1)?)?;
        let offset = place.offset.checked_sub(start.offset)? as usize;
        (start.segment == place.segment && offset < commit.len()).then_some((commit, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_commits_go_first() {
        let at = |segment, offset| Position { segment, offset };
        let mut tail = Tail::new(250);
        tail.push(at(1, 100), Bytes::from(vec![1; 100]));
        tail.push(at(1, 200), Bytes::from(vec![2; 100]));
        tail.push(at(2, 0), Bytes::from(vec![3; 100]));
        assert!(tail.find(at(1, 150)).is_none());
        assert!(tail.find(at(1, 300)).is_none());
        assert!(tail.find(at(2, 100)).is_none());
        assert_eq!(tail.find(at(1, 299)).map(|(bytes, at)| (bytes[at], at)), Some((2, 99)));
        assert_eq!(tail.find(at(2, 0)).map(|(bytes, at)| (bytes[at], at)), Some((3, 0)));
    }
}
