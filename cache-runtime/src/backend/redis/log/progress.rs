//! How writes leave the log.

use super::super::loads::take_apart;
use super::super::{Redis, scripts, unexpected};
use super::append::arguments;
use super::reply;
use crate::backend::Token;
use crate::backend::log::{Begun, Burial, Done};
use crate::error::BackendError;
use redis::Value;

/// How many groups, keys and writes one script works on: the server answers nobody else meanwhile.
const GROUPS: usize = 1000;
const KEYS: usize = 128;
const WRITES: usize = 1000;

pub(super) async fn begun(redis: &Redis, partition: u8) -> Result<Vec<Begun>, BackendError> {
    let args = [partition.to_string()];
    let args = args.each_ref().map(String::as_bytes);
    let found = reply::array(redis.run_on_log(&scripts::BEGUN, &[], &args).await?);
    let mut found = found.into_iter();
    let next = std::iter::from_fn(|| Some([found.next()?, found.next()?, found.next()?]));
    let begun = next.filter_map(|[key, through, attempts]| {
        Some(Begun {
            key: reply::text(key).unwrap_or_default().into(),
            through: reply::number(through)?,
            attempts: u32::try_from(reply::number(attempts)?).unwrap_or(u32::MAX),
        })
    });
    Ok(begun.collect())
}

pub(super) async fn begin(
    redis: &Redis,
    partition: u8,
    member: Token,
    groups: &[Begun],
) -> Result<Option<Vec<bool>>, BackendError> {
    let (partition, member) = (partition.to_string(), member.to_string());
    let mut noted = Vec::with_capacity(groups.len());
    // Without any the question is whose the partition is.
    let parts = groups.len().div_ceil(GROUPS).max(1);
    for part in 0..parts {
        let groups = &groups[part * GROUPS..groups.len().min((part + 1) * GROUPS)];
        let numbers: Vec<_> = groups
            .iter()
            .map(|group| [group.through.to_string(), group.attempts.to_string()])
            .collect();
        let mut args = vec![partition.as_bytes(), member.as_bytes()];
        for (group, [through, attempts]) in groups.iter().zip(&numbers) {
            args.extend([
                group.key.as_bytes(),
                through.as_bytes(),
                attempts.as_bytes(),
            ]);
        }
        match redis.run_on_log(&scripts::BEGIN, &[], &args).await? {
            Value::Int(0) => return Ok(None),
            Value::Array(answers) if answers.len() == groups.len() => {
                noted.extend(answers.iter().map(|answer| *answer == Value::Int(1)));
            }
            _ => return Err(unexpected()),
        }
    }
    Ok(Some(noted))
}

pub(super) async fn finish(
    redis: &Redis,
    partition: u8,
    member: Token,
    done: &[Done],
) -> Result<bool, BackendError> {
    let (partition, member) = (partition.to_string(), member.to_string());
    for steps in scripts_of(done) {
        if !finish_some(redis, [&partition, &member], &steps).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Some of a key's writes that are over, as one script takes them.
struct Step<'a> {
    done: &'a Done,
    sequences: &'a [u64],
}

impl Step<'_> {
    /// The last of all, if it is among these.
    fn last(&self) -> Option<u64> {
        let last = self.sequences.last().copied();
        last.filter(|_| self.sequences.last() == self.done.sequences.last())
    }
}

/// The steps, in groups of which each is not too much for a script. Those of a key are in order, the last one last. Without any there is one
/// group, which asks whose the partition is.
fn scripts_of(done: &[Done]) -> Vec<Vec<Step<'_>>> {
    let (mut scripts, mut writes) = (Vec::<Vec<_>>::new(), 0);
    let steps = done.iter().flat_map(|done| {
        let parts = done.sequences.chunks(WRITES);
        parts.map(move |sequences| Step { done, sequences })
    });
    for step in steps {
        writes += step.sequences.len();
        match scripts.last_mut() {
            Some(script) if script.len() < KEYS && writes <= WRITES => script.push(step),
            _ => {
                writes = step.sequences.len();
                scripts.push(vec![step]);
            }
        }
    }
    if scripts.is_empty() {
        scripts.push(Vec::new());
    }
    scripts
}

async fn finish_some(
    redis: &Redis,
    [partition, member]: [&str; 2],
    steps: &[Step<'_>],
) -> Result<bool, BackendError> {
    let lists: Vec<_> = steps.iter().map(|step| joined(step.sequences)).collect();
    let lasts: Vec<_> = steps
        .iter()
        .map(|step| {
            step.last()
                .map_or_else(String::new, |last| last.to_string())
        })
        .collect();
    let mut args = vec![partition.as_bytes(), member.as_bytes()];
    for ((step, list), last) in steps.iter().zip(&lists).zip(&lasts) {
        let Done { key, function, .. } = step.done;
        args.extend([key.as_bytes(), function.as_bytes(), list.as_bytes()]);
        args.extend([last.as_bytes(), flag(step.done.invalidates)]);
    }
    let entries: Vec<_> = steps
        .iter()
        .map(|step| redis.names.entry(&step.done.key))
        .collect();
    let answer = redis.run_on_log(&scripts::FINISH, &entries, &args).await?;
    if answer == Value::Int(0) {
        return Ok(false);
    }
    let (_, answers) = take_apart(answer)?;
    if answers.len() != steps.len() {
        return Err(unexpected());
    }
    for answer in answers {
        redis.link.accept(answer)?;
    }
    Ok(true)
}

pub(super) async fn bury(
    redis: &Redis,
    partition: u8,
    member: Token,
    burial: Burial,
) -> Result<bool, BackendError> {
    let Burial { done, error, .. } = &burial;
    let Some(last) = done.sequences.last() else {
        return Err(unexpected());
    };
    let (partition, member) = (partition.to_string(), member.to_string());
    let (list, last) = (joined(&done.sequences), last.to_string());
    let attempts = burial.attempts.to_string();
    let args = [
        partition.as_bytes(),
        member.as_bytes(),
        done.key.as_bytes(),
        done.function.as_bytes(),
        list.as_bytes(),
        last.as_bytes(),
        flag(done.invalidates),
        arguments(&burial.payload)?,
        error.as_bytes(),
        attempts.as_bytes(),
    ];
    let entries = [redis.names.entry(&done.key)];
    redis.ask_log(&scripts::BURY, &entries, &args).await
}

fn joined(sequences: &[u64]) -> String {
    let texts: Vec<_> = sequences.iter().map(u64::to_string).collect();
    texts.join(" ")
}

fn flag(is_set: bool) -> &'static [u8] {
    if is_set { b"1" } else { b"0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(key: &str, sequences: std::ops::Range<u64>) -> Done {
        Done {
            key: key.into(),
            function: "f".into(),
            sequences: sequences.collect(),
            invalidates: false,
        }
    }

    #[test]
    fn many_writes_are_finished_in_parts_of_which_the_last_ends_the_key() {
        let all = [
            done("a", 0..10),
            done("b", 10..2_510),
            done("c", 2_510..2_511),
        ];
        let scripts = scripts_of(&all);
        let lengths: Vec<Vec<_>> = scripts
            .iter()
            .map(|steps| steps.iter().map(|step| step.sequences.len()).collect())
            .collect();
        assert_eq!(lengths, [vec![10], vec![1000], vec![1000], vec![500, 1]]);
        let lasts: Vec<_> = scripts.iter().flatten().map(Step::last).collect();
        assert_eq!(lasts, [Some(9), None, None, Some(2_509), Some(2_510)]);
        assert_eq!(scripts_of(&[]).len(), 1);
        let many: Vec<_> = (0..300).map(|key| done("k", key..key + 1)).collect();
        assert_eq!(scripts_of(&many).len(), 3);
    }
}
