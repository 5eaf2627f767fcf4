use std::cell::Cell;

use pair2score_data::judgements::{JudgementLog, LogDefaults};
use pair2score_data::{Document, rng};

use super::*;
use crate::collect::records::Progress;

/// A collection of `n` documents `d0`, `d1`, … with judges of these names.
fn store(folder: &tempfile::TempDir, n: usize, judges: &[&str]) -> Store {
    let mut store = Store::open(&folder.path().join("c.sqlite"), true).unwrap();
    store.set("trait", "grammar").unwrap();
    store.add_documents(&documents(n, "text")).unwrap();
    for (place, name) in judges.iter().enumerate() {
        assert!(store.add_judge(name, &[place as u8; 32]).unwrap());
    }
    store
}

fn documents(n: usize, text: &str) -> DocumentSet {
    let document = |place| Document {
        id: format!("d{place}"),
        text: format!("{text} {place}"),
        fold: None,
        label: None,
        row: place + 2,
        ..Document::default()
    };
    DocumentSet::new("documents.csv", (0..n).map(document).collect()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Gives the pair of a judge, the first one not given yet.
fn hand_out(store: &mut Store, judge: i64) -> Option<Handout> {
    let n = store.n_documents().unwrap();
    let all = || (0..n).flat_map(move |left| (left + 1..n).map(move |right| (left, right)));
    let choose = |history: &[Showing]| {
        let fresh = all().find(|&(left, right)| !history.iter().any(|s| (s.left, s.right) == (left, right)));
        fresh.map(|(left, right)| Showing { left, right, kind: Kind::Regular })
    };
    store.hand_out(judge, "then", |history, _| Ok(choose(history))).unwrap()
}

fn submission(handout: i64, id: &str, verdict: Verdict) -> Submission {
    Submission { handout, id: id.into(), verdict, ms: 1200 }
}

#[test]
fn a_pair_stays_until_it_is_answered() {
    let folder = folder();
    let mut store = store(&folder, 4, &["ann", "bob"]);
    let first = hand_out(&mut store, 1).unwrap();
    assert_eq!(hand_out(&mut store, 1), Some(first));
    let asked = Cell::new(false);
    let again = store.hand_out(1, "then", |_, _| {
        asked.set(true);
        Ok(None)
    });
    assert!(again.unwrap() == Some(first) && !asked.get());
    let answer = submission(first.id, "x", Verdict::Left);
    assert_eq!(store.answer(1, &answer, "now").unwrap(), Outcome::Stored);
    let second = hand_out(&mut store, 1).unwrap();
    assert_ne!(second.showing, first.showing);
    assert_eq!(hand_out(&mut store, 2).unwrap().showing, first.showing, "bob has not had it");
}

#[test]
fn what_is_sent_again_is_stored_once() {
    let folder = folder();
    let mut store = store(&folder, 4, &["ann", "bob"]);
    let (of_ann, of_bob) = (hand_out(&mut store, 1).unwrap().id, hand_out(&mut store, 2).unwrap().id);
    let answer = submission(of_ann, "x", Verdict::Left);
    let mut tell = |judge, answer: &Submission| store.answer(judge, answer, "now").unwrap();
    assert_eq!(tell(1, &answer), Outcome::Stored);
    assert_eq!(tell(1, &answer), Outcome::Known);
    assert_eq!(tell(1, &submission(of_ann, "x", Verdict::Right)), Outcome::Conflict);
    assert_eq!(tell(1, &submission(of_ann, "y", Verdict::Left)), Outcome::Conflict);
    assert_eq!(tell(2, &answer), Outcome::NotGiven);
    assert_eq!(tell(1, &submission(99, "z", Verdict::Left)), Outcome::NotGiven);
    assert_eq!(tell(2, &submission(of_bob, "x", Verdict::Left)), Outcome::Conflict, "the id is taken");
    assert_eq!(tell(2, &submission(of_bob, "y", Verdict::Left)), Outcome::Stored);
    assert_eq!((store.answered(1).unwrap(), store.export().unwrap().0.len()), (1, 2));
}

#[test]
fn answers_are_taken_back_to_the_first_and_come_again_in_order() {
    let folder = folder();
    let mut store = store(&folder, 4, &["ann", "bob"]);
    let mut given = Vec::new();
    for place in 0..3 {
        given.push(hand_out(&mut store, 1).unwrap());
        let answer = submission(given[place].id, &format!("a{place}"), Verdict::Left);
        assert_eq!(store.answer(1, &answer, "now").unwrap(), Outcome::Stored);
    }
    let open = hand_out(&mut store, 1).unwrap();
    assert!(!store.take_back(2, "a2").unwrap(), "it is not bob's");
    for place in (0..3).rev() {
        let last = store.last_answer(1).unwrap().unwrap();
        assert_eq!(last, format!("a{place}"));
        assert!(store.take_back(1, &last).unwrap() && !store.take_back(1, &last).unwrap());
        assert_eq!(hand_out(&mut store, 1), Some(given[place]));
    }
    assert_eq!((store.last_answer(1).unwrap(), store.answered(1).unwrap()), (None, 0));
    for (place, handout) in given.iter().enumerate() {
        assert_eq!(hand_out(&mut store, 1), Some(*handout));
        let answer = submission(handout.id, &format!("b{place}"), Verdict::Tie);
        assert_eq!(store.answer(1, &answer, "now").unwrap(), Outcome::Stored);
        assert_eq!(store.last_answer(1).unwrap(), Some(format!("b{place}")));
    }
    assert_eq!(hand_out(&mut store, 1), Some(open));
    assert!(store.export().unwrap().0.iter().all(|pair| pair.y == 0.5));
}

#[test]
fn the_same_pair_twice_is_refused_whoever_chooses_it() {
    let folder = folder();
    let mut store = store(&folder, 4, &["ann"]);
    let mut give = |left, right, kind| {
        let handout = store.hand_out(1, "then", |_, _| Ok(Some(Showing { left, right, kind })))?;
        let handout = handout.unwrap();
        store.answer(1, &submission(handout.id, &handout.id.to_string(), Verdict::Tie), "now")
    };
    assert!(give(0, 1, Kind::Regular).is_ok());
    assert!(give(0, 1, Kind::Regular).is_err() && give(1, 0, Kind::Regular).is_err());
    assert!(give(2, 2, Kind::Regular).is_err() && give(0, 7, Kind::Regular).is_err());
    assert!(give(1, 0, Kind::Repeat).is_ok() && give(1, 0, Kind::Repeat).is_err());
    assert!(give(0, 2, Kind::Regular).is_ok(), "a refusal leaves nothing behind");
}

#[test]
fn an_export_is_a_log() {
    let folder = folder();
    let mut store = store(&folder, 6, &["ann", "bob \"quoted\""]);
    let verdicts = [Verdict::Left, Verdict::Right, Verdict::Tie, Verdict::Skip];
    let mut expected = Vec::new();
    for (place, verdict) in verdicts.into_iter().enumerate() {
        for judge in [1, 2] {
            let handout = hand_out(&mut store, judge).unwrap();
            store
                .answer(judge, &submission(handout.id, &format!("{place} {judge}"), verdict), "now")
                .unwrap();
            let y = [Some(1.0), Some(0.0), Some(0.5), None][place];
            expected.extend(y.map(|y| (["ann", "bob \"quoted\""][judge as usize - 1].to_owned(), y)));
        }
    }
    hand_out(&mut store, 1);
    let (pairs, skipped) = store.export().unwrap();
    assert_eq!(skipped, 2);
    let text: String = pairs.iter().map(|pair| serde_json::to_string(pair).unwrap() + "\n").collect();
    let log = JudgementLog::parse(Path::new("log.jsonl"), &text, &LogDefaults::default()).unwrap();
    let read: Vec<(String, f64)> = log.judgements.iter().map(|j| (j.judge().to_owned(), j.pair.y)).collect();
    assert_eq!((read, log.duplicates), (expected, 0));
    let first = &log.judgements[0].pair;
    assert_eq!((first.a.as_str(), first.b.as_str(), first.ms), ("d0", "d1", Some(1200)));
    assert_eq!((first.shown_left.as_deref(), first.at.as_deref()), (Some("d0"), Some("now")));
    assert_eq!(pairs.iter().map(|pair| pair.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn documents_are_added_and_never_changed() {
    let folder = folder();
    let mut store = store(&folder, 3, &[]);
    assert_eq!(store.add_documents(&documents(5, "text")).unwrap(), 2);
    assert_eq!(store.add_documents(&documents(2, "text")).unwrap(), 0);
    let message = store.add_documents(&documents(7, "other")).unwrap_err().to_string();
    assert!(message.starts_with("documents.csv: row 2: document \"d0\" has another text"), "{message}");
    assert_eq!((store.n_documents().unwrap(), store.text(4).unwrap().as_str()), (5, "text 4"));
}

#[test]
fn judges_have_one_name_and_one_token() {
    let folder = folder();
    let mut store = store(&folder, 2, &["ann", "bob"]);
    assert!(!store.add_judge("ann", &[9; 32]).unwrap());
    assert!(store.change_token("ann", &[8; 32]).unwrap() && !store.change_token("eve", &[7; 32]).unwrap());
    let judges = store.judges().unwrap();
    assert_eq!((judges[0].name.as_str(), judges[0].token, judges.len()), ("ann", [8; 32], 2));
}

#[test]
fn a_link_that_is_switched_off_is_nobodys_until_there_is_another() {
    let folder = folder();
    let mut store = store(&folder, 3, &["ann", "bob"]);
    let handout = hand_out(&mut store, 1).unwrap();
    store.answer(1, &submission(handout.id, "x", Verdict::Skip), "2026-01-02").unwrap();
    assert!(store.switch_off("ann").unwrap() && !store.switch_off("eve").unwrap());
    assert!(store.switch_off("ann").unwrap(), "it may be sent again");
    let tokens: Vec<_> = store.judges().unwrap().iter().map(|judge| judge.token).collect();
    assert!(tokens[0] != [0; 32] && tokens[1] == [1; 32]);
    let of = |name: &str, has_link, done, skipped, seen: Option<&str>| Progress {
        name: name.into(),
        has_link,
        done,
        skipped,
        seen: seen.map(str::to_owned),
    };
    let bob = of("bob", true, 0, 0, None);
    assert_eq!(store.progress().unwrap(), [of("ann", false, 1, 1, Some("then")), bob.clone()]);
    store.change_token("ann", &[8; 32]).unwrap();
    assert_eq!(store.progress().unwrap(), [of("ann", true, 1, 1, Some("then")), bob]);
}

#[test]
fn two_processes_and_a_reopening_see_the_same() {
    let folder = folder();
    let mut one = store(&folder, 5, &["ann"]);
    let mut other = Store::open(&folder.path().join("c.sqlite"), false).unwrap();
    let handout = hand_out(&mut one, 1).unwrap();
    assert_eq!(hand_out(&mut other, 1), Some(handout));
    let answer = submission(handout.id, "x", Verdict::Right);
    assert_eq!(other.answer(1, &answer, "now").unwrap(), Outcome::Stored);
    assert_eq!(one.answer(1, &answer, "now").unwrap(), Outcome::Known);
    drop((one, other));
    let mut again = Store::open(&folder.path().join("c.sqlite"), true).unwrap();
    assert_eq!(again.answer(1, &answer, "now").unwrap(), Outcome::Known);
    assert_eq!(again.setting("trait").unwrap().as_deref(), Some("grammar"));
}

#[test]
fn every_change_has_the_deadline() {
    let folder = folder();
    let mut store = store(&folder, 2, &["ann"]);
    let other = Connection::open(folder.path().join("c.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    store.wait_until(begun + Duration::from_millis(20)).unwrap();
    assert!(store.add_judge("bob", &[9; 32]).is_err());
    assert!(store.set("question", "Why?").is_err());
    assert!(store.set_lead(&[9; 32]).is_err());
    assert!(store.change_token("ann", &[9; 32]).is_err());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    store.wait_until(Instant::now() + Duration::from_secs(60)).unwrap();
    other.execute_batch("ROLLBACK").unwrap();
    assert!(store.add_judge("bob", &[9; 32]).unwrap());
}

#[test]
fn commits_wait_for_the_disk() {
    let folder = folder();
    let store = store(&folder, 2, &[]);
    let pragma = |name: &str| {
        store.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
    };
    assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
    assert_eq!(pragma("synchronous").unwrap(), 2.into(), "FULL is 2");
    assert_eq!(pragma("foreign_keys").unwrap(), 1.into());
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("other.sqlite");
    let message = |path: &Path| format!("{:#}", Store::open(path, true).err().unwrap());
    std::fs::write(&path, "text_id,full_text\n".repeat(100)).unwrap();
    assert!(message(&path).contains("cannot open the collection"), "{}", message(&path));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(message(&path).contains("the database of another program"), "{}", message(&path));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let newer = folder.path().join("c.sqlite");
    store(&folder, 2, &[]).connection.pragma_update(None, "user_version", 2).unwrap();
    assert!(message(&newer).contains("version 2"), "{}", message(&newer));
    assert!(Store::open(&folder.path().join("absent.sqlite"), false).is_err());
    assert!(!folder.path().join("absent.sqlite").exists());
}

/// Whatever judges do and in whatever order: every acknowledged answer is there once, and nobody gets a pair twice.
#[test]
fn random_sessions_keep_the_books() {
    for seed in 0..20 {
        let folder = folder();
        let mut store = store(&folder, 5, &["ann", "bob", "cem"]);
        let mut rng = rng::stream(seed, &["sessions"]);
        let mut given = [const { Vec::new() }; 3];
        let mut acknowledged = Vec::new();
        for step in 0..120 {
            let who = rng::below(&mut rng, 3);
            let judge = who as i64 + 1;
            if rng::below(&mut rng, 2) == 0 {
                given[who].extend(hand_out(&mut store, judge));
            } else {
                let of_whom = rng::below(&mut rng, 3);
                let Some(handout) = given[of_whom].last().copied() else { continue };
                let id = ["again".to_owned(), format!("{step}")][rng::below(&mut rng, 2)].clone();
                let verdict = [Verdict::Left, Verdict::Right][rng::below(&mut rng, 2)];
                let outcome = store.answer(judge, &submission(handout.id, &id, verdict), "now").unwrap();
                assert_eq!(outcome == Outcome::NotGiven, of_whom != who);
                if outcome == Outcome::Stored {
                    acknowledged.push((judge, handout.showing.left, verdict == Verdict::Left));
                }
            }
            if rng::below(&mut rng, 10) == 0 {
                store = Store::open(&folder.path().join("c.sqlite"), false).unwrap();
            }
        }
        for handouts in &given {
            let ids: std::collections::BTreeSet<i64> = handouts.iter().map(|handout| handout.id).collect();
            let showings: std::collections::BTreeSet<(usize, usize)> =
                handouts.iter().map(|handout| (handout.showing.left, handout.showing.right)).collect();
            assert_eq!(ids.len(), showings.len(), "a pair under two numbers");
        }
        let names = ["ann", "bob", "cem"];
        let mut stored: Vec<(i64, usize, bool)> = store
            .export()
            .unwrap()
            .0
            .iter()
            .map(|pair| {
                let judge = names.iter().position(|name| Some(*name) == pair.judge.as_deref()).unwrap();
                (judge as i64 + 1, pair.a[1..].parse().unwrap(), pair.y == 1.0)
            })
            .collect();
        stored.sort_unstable();
        acknowledged.sort_unstable();
        assert_eq!(stored, acknowledged, "seed {seed}");
    }
}
