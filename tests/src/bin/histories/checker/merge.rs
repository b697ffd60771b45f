//! What several processes say, in the order of its times.

use std::collections::{BTreeMap, VecDeque};

use crate::clock::Moment;
use crate::words::Word;

/// What one process has said and nobody has taken.
#[derive(Debug)]
struct Stream {
    words: VecDeque<(Moment, Word)>,
    /// Everything until then has been said.
    mark: Moment,
}

#[derive(Debug, Default)]
pub(super) struct Merge(BTreeMap<u64, Stream>);

/// When it came to its end; `None` for what is not part of the history.
fn time_of(word: &Word) -> Option<Moment> {
    match word {
        Word::Read(read) => Some(read.ended),
        Word::Commit(commit) => Some(commit.at),
        Word::Return(write) => Some(write.ended),
        Word::Recovered { at, .. } => Some(*at),
        Word::Mark(_) | Word::Halted { .. } | Word::Held | Word::Healthy | Word::AllRead => None,
    }
}

impl Merge {
    pub(super) fn born(&mut self, birth: u64, at: Moment) {
        let words = VecDeque::new();
        self.0.insert(birth, Stream { words, mark: at });
    }

    /// Whether there may be something to take now.
    pub(super) fn said(&mut self, birth: u64, word: Word) -> bool {
        let Some(stream) = self.0.get_mut(&birth) else {
            return false;
        };
        if let Word::Mark(mark) = word {
            stream.mark = mark;
            return true;
        }
        if let Some(time) = time_of(&word) {
            stream.words.push_back((time, word));
        }
        false
    }

    pub(super) fn gone(&mut self, birth: u64) {
        if let Some(stream) = self.0.get_mut(&birth) {
            stream.mark = Moment::NEVER;
        }
    }

    pub(super) fn end_all(&mut self) {
        for stream in self.0.values_mut() {
            stream.mark = Moment::NEVER;
        }
    }

    /// Until when nothing more comes.
    pub(super) fn horizon(&self) -> Moment {
        let marks = self.0.values().map(|stream| stream.mark);
        let horizon = marks.min().unwrap_or(Moment::START);
        if horizon == Moment::NEVER {
            Moment::now()
        } else {
            horizon
        }
    }

    /// The next of all, if nothing can come before it.
    pub(super) fn next(&mut self) -> Option<(u64, Word)> {
        let horizon = self.0.values().map(|stream| stream.mark).min()?;
        let heads = self.0.iter().filter_map(|(&birth, stream)| {
            let &(time, _) = stream.words.front()?;
            Some((time, birth))
        });
        let (time, birth) = heads.min()?;
        if time > horizon {
            return None;
        }
        let stream = self.0.get_mut(&birth)?;
        let (_, word) = stream.words.pop_front()?;
        if stream.words.is_empty() && stream.mark == Moment::NEVER {
            self.0.remove(&birth);
        }
        Some((birth, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: u64) -> Word {
        let at = Moment(time);
        Word::Recovered { upto: at, at }
    }

    #[test]
    fn nothing_is_taken_before_what_may_yet_come() {
        let mut merge = Merge::default();
        merge.born(1, Moment(0));
        merge.born(2, Moment(0));
        merge.said(1, at(5));
        assert!(merge.said(1, Word::Mark(Moment(9))));
        assert_eq!(merge.next(), None);
        merge.said(2, at(3));
        merge.said(2, at(7));
        merge.said(2, Word::Mark(Moment(6)));
        assert_eq!(merge.next(), Some((2, at(3))));
        assert_eq!(merge.next(), Some((1, at(5))));
        assert_eq!(merge.next(), None, "the other may say something of 6 yet");
        merge.gone(1);
        assert_eq!(merge.next(), None);
        merge.gone(2);
        assert_eq!(merge.next(), Some((2, at(7))));
    }
}
