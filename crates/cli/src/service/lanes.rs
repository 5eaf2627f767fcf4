//! Which documents are computed together, and which come first.
//!
//! The key decision: requests take turns document by document, so that a single text joins the next batch however long
//! the lists of others are. Scorers and passes take turns batch by batch. What nobody waits for any more is left out.

use std::collections::VecDeque;

use super::job::{Item, Job, Lane};

/// All documents that wait, by what can be computed together.
#[derive(Default)]
pub(super) struct Lanes {
    /// The lane whose turn it is first; none is without jobs, and no job without documents.
    turns: VecDeque<(Lane, VecDeque<Job>)>,
}

impl Lanes {
    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Adds the documents of a request behind those of others, and a line of a stream behind its earlier lines.
    pub(super) fn add(&mut self, job: Job) {
        if job.items.is_empty() {
            return;
        }
        let Some((_, jobs)) = self.turns.iter_mut().find(|(lane, _)| *lane == job.lane) else {
            return self.turns.push_back((job.lane, [job].into()));
        };
        match jobs.iter_mut().find(|earlier| earlier.asker == job.asker) {
            Some(earlier) => earlier.items.extend(job.items),
            None => jobs.push_back(job),
        }
    }

    /// The next batch: at most `budget` tokens, but at least one document where one is waited for.
    pub(super) fn next(&mut self, budget: usize) -> Option<(Lane, Vec<Item>)> {
        let (lane, mut jobs) = self.turns.pop_front()?;
        let (mut batch, mut tokens) = (Vec::new(), 0);
        while let Some(mut job) = jobs.pop_front() {
            let Some(item) = job.items.pop_front() else { continue };
            let length = item.document.ids.len();
            if item.reply.is_closed() {
                jobs.push_front(job);
                continue;
            }
            if !batch.is_empty() && tokens + length > budget {
                job.items.push_front(item);
                jobs.push_front(job);
                break;
            }
            tokens += length;
            batch.push(item);
            if !job.items.is_empty() {
                jobs.push_back(job);
            }
        }
        if !jobs.is_empty() {
            self.turns.push_back((lane, jobs));
        }
        Some((lane, batch))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pair2score_scorer::Encoded;
    use tokio::sync::{Semaphore, oneshot};

    use super::*;
    use crate::service::job::{Asker, Pass, Reply};

    /// A job whose documents have these lengths; the first token of each says which it is.
    fn job(scorer: usize, pass: Pass, name: u32, lengths: &[usize]) -> (Job, Vec<Reply>) {
        let room = Arc::new(Semaphore::new(1000));
        let (items, replies) = (lengths.iter().enumerate())
            .map(|(place, &length)| {
                let mut ids = vec![0; length];
                ids[0] = name * 100 + place as u32;
                let (reply, receiver) = oneshot::channel();
                let room = Arc::clone(&room).try_acquire_many_owned(length as u32).unwrap();
                (Item { document: Encoded { full_length: length, ids }, room, reply }, receiver)
            })
            .unzip();
        (Job { asker: Asker::new(), lane: Lane { scorer, pass }, items }, replies)
    }

    /// The batches that come, each as its scorer and its documents.
    fn batches(lanes: &mut Lanes, budget: usize) -> Vec<(usize, Vec<u32>)> {
        std::iter::from_fn(|| lanes.next(budget))
            .map(|(lane, items)| (lane.scorer, items.iter().map(|item| item.document.ids[0]).collect()))
            .collect()
    }

    #[test]
    fn a_single_text_does_not_wait_for_a_long_list() {
        let mut lanes = Lanes::default();
        let (list, _list) = job(0, Pass::Score, 1, &[10; 6]);
        let (single, _single) = job(0, Pass::Score, 2, &[10]);
        lanes.add(list);
        lanes.add(single);
        assert_eq!(
            batches(&mut lanes, 30),
            [(0, vec![100, 200, 101]), (0, vec![102, 103, 104]), (0, vec![105])]
        );
        assert!(lanes.is_empty());
    }

    #[test]
    fn a_stream_takes_turns_as_one_however_many_lines_it_has_open() {
        let mut lanes = Lanes::default();
        let (first, _first) = job(0, Pass::Score, 1, &[10]);
        let asker = first.asker;
        lanes.add(first);
        let mut kept = Vec::new();
        for name in 2..6 {
            let (line, replies) = job(0, Pass::Score, name, &[10]);
            lanes.add(Job { asker, ..line });
            kept.push(replies);
        }
        let (single, _single) = job(0, Pass::Score, 9, &[10]);
        lanes.add(single);
        assert_eq!(batches(&mut lanes, 20), [(0, vec![100, 900]), (0, vec![200, 300]), (0, vec![400, 500])]);
    }

    #[test]
    fn one_request_alone_keeps_its_order_and_a_batch_its_budget() {
        let mut lanes = Lanes::default();
        let (list, _list) = job(0, Pass::Score, 1, &[7, 3, 5, 20, 1]);
        lanes.add(list);
        assert_eq!(
            batches(&mut lanes, 10),
            [(0, vec![100, 101]), (0, vec![102]), (0, vec![103]), (0, vec![104])]
        );
    }

    #[test]
    fn scorers_and_passes_take_turns() {
        let mut lanes = Lanes::default();
        let mut kept = Vec::new();
        for (scorer, pass, name) in
            [(0, Pass::Score, 1), (1, Pass::Score, 2), (0, Pass::Utility, 3), (0, Pass::Score, 4)]
        {
            let (job, replies) = job(scorer, pass, name, &[10, 10]);
            lanes.add(job);
            kept.push(replies);
        }
        let expected = [(0, vec![100, 400]), (1, vec![200, 201]), (0, vec![300, 301]), (0, vec![101, 401])];
        assert_eq!(batches(&mut lanes, 20), expected);
    }

    #[test]
    fn what_nobody_waits_for_is_left_out_and_its_room_given_back() {
        let mut lanes = Lanes::default();
        let (left, replies) = job(0, Pass::Score, 1, &[10, 10]);
        let (stays, _stays) = job(0, Pass::Score, 2, &[10]);
        let room = Arc::clone(left.items[0].room.semaphore());
        lanes.add(left);
        lanes.add(stays);
        drop(replies);
        assert_eq!(batches(&mut lanes, 100), [(0, vec![200])]);
        assert_eq!(room.available_permits(), 1000);
    }
}
