//! Judgement logs: answers about pairs, each with its judge and its time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::entries::{self, Entries};
use super::fields::LogDefaults;
use crate::error::{DataError, Result};
use crate::files;
use crate::json::objects;
use crate::pairs::Pair;
use crate::table::{Input, Kind, Table, TableOptions};

/// One answer of one judge, with the place it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The answer; `judge` and `at` are there, and `shown_left`, where given, is `a` or `b`.
    pub pair: Pair,
    /// The place of the file in [`JudgementLog::files`].
    pub file: usize,
    /// The line in that file, from 1.
    pub line: usize,
}

impl Judgement {
    /// Who judged.
    pub fn judge(&self) -> &str {
        self.pair.judge.as_deref().unwrap_or_default()
    }
}

/// What makes two entries the same event: trait, judge, documents, sides, time and answer, whichever id is written
/// first. Another answer at the same time is another judgement, and kept.
fn identity(pair: &Pair) -> [String; 7] {
    let (first, second) = pair.unordered();
    let answer = pair.y_of(first).to_string();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    [
        pair.target.clone(),
        text(&pair.judge),
        first.into(),
        second.into(),
        text(&pair.shown_left),
        text(&pair.at),
        answer,
    ]
}

/// Tells the rows of a table apart that are the same event but for their place: the dates of many tools have no time of
/// day. The second has ` (2)` after its time, so that the table comes to the same when it is read again.
fn tell_apart(pairs: &mut [(Pair, usize)]) {
    let mut rows: HashMap<_, usize> = HashMap::new();
    for (pair, _) in pairs {
        let row = rows.entry(identity(pair)).or_default();
        *row += 1;
        if let (2.., Some(at)) = (*row, &mut pair.at) {
            *at += &format!(" ({row})");
        }
    }
}

/// The judgements of one or more files, in the order of the files and their lines, none twice.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgementLog {
    /// The judgements, in the order of the files and their lines.
    pub judgements: Vec<Judgement>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// Entries left out because an earlier one is the same: trait, judge, documents, sides, time and answer.
    pub duplicates: usize,
    /// Annotations of Label Studio without an answer, which are left out too.
    pub unanswered: usize,
}

impl JudgementLog {
    /// Reads files and merges them. What judges disagree about stays in as a judgement of each.
    ///
    /// A file is JSON, an object per line or a list of them, or a table; `docs/judgements.md` lists
    /// what its keys or columns may be called. `defaults` stand in where an entry names no trait or judge.
    ///
    /// # Errors
    /// An unreadable file, or, with its line, an entry that is no judgement, that lacks a judge or a trait, or says that
    /// another document than its two was shown on the left.
    pub fn read<P: AsRef<Path>>(paths: &[P], defaults: &LogDefaults) -> Result<Self> {
        let read = |path: &P| {
            let path = path.as_ref();
            match Kind::of(path)? {
                Kind::Delimited | Kind::Workbook | Kind::Parquet => {
                    Self::of_table(Table::read(path, &TableOptions::default()), defaults)
                }
                Kind::Json => Self::of_objects(path, Input::open(path, None)?, defaults),
                Kind::Unknown => Self::parse(path, &files::read_text(path)?, defaults),
            }
        };
        Ok(Self::merge(paths.iter().map(read).collect::<Result<Vec<_>>>()?))
    }

    /// As [`read`](Self::read), from text; `path` is only named in messages, and its ending says what the text is.
    ///
    /// # Errors
    /// As [`read`](Self::read), reading aside.
    pub fn parse(path: &Path, text: &str, defaults: &LogDefaults) -> Result<Self> {
        let json = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
        match Kind::of(path)? {
            Kind::Unknown | Kind::Delimited if !json => {
                Self::of_table(Table::parse(path, text, &TableOptions::default()), defaults)
            }
            _ => Self::of_objects(path, Input::of_text(text), defaults),
        }
    }

    fn of_table(table: Result<Table>, defaults: &LogDefaults) -> Result<Self> {
        let table = table.map_err(DataError::without_options)?;
        let mut entries = entries::of_table(&table, defaults)?;
        tell_apart(&mut entries.pairs);
        Self::checked(&table.path, entries)
    }

    fn of_objects(path: &Path, input: Input, defaults: &LogDefaults) -> Result<Self> {
        let objects = objects(path, input.text, entries::JUDGEMENT)?.collect::<Result<Vec<_>>>();
        let objects = objects.map_err(DataError::without_options)?;
        Self::checked(path, entries::of_objects(path, &objects, defaults)?)
    }

    fn checked(path: &Path, Entries { pairs, unanswered }: Entries) -> Result<Self> {
        if pairs.is_empty() {
            let what = match unanswered {
                0 => "no judgements".to_owned(),
                n => format!("no judgements, and {n} annotations without an answer"),
            };
            return Err(DataError::file(path, what, "give another file"));
        }
        let mut judgements = Vec::with_capacity(pairs.len());
        for (pair, line) in pairs {
            if let Some((what, remedy)) = pair.defect().or_else(|| defect(&pair)) {
                return Err(DataError::line(path, line, what, remedy));
            }
            judgements.push(Judgement { pair, file: 0, line });
        }
        let files = vec![path.to_owned()];
        Ok(Self::merge(vec![Self { judgements, files, duplicates: 0, unanswered }]))
    }

    /// Puts logs one after the other and drops what is there already.
    pub fn merge(logs: Vec<Self>) -> Self {
        let mut merged = Self { judgements: Vec::new(), files: Vec::new(), duplicates: 0, unanswered: 0 };
        let mut seen = HashSet::new();
        for log in logs {
            let first_file = merged.files.len();
            merged.files.extend(log.files);
            merged.duplicates += log.duplicates;
            merged.unanswered += log.unanswered;
            for judgement in log.judgements {
                if seen.insert(identity(&judgement.pair)) {
                    merged.judgements.push(Judgement { file: first_file + judgement.file, ..judgement });
                } else {
                    merged.duplicates += 1;
                }
            }
        }
        merged
    }

    /// What `other` has that is not here; its `duplicates` count what is.
    pub fn additions(&self, other: Self) -> Self {
        let known: HashSet<_> = self.judgements.iter().map(|judgement| identity(&judgement.pair)).collect();
        let before = other.judgements.len();
        let mut added = other;
        added.judgements.retain(|judgement| !known.contains(&identity(&judgement.pair)));
        added.duplicates += before - added.judgements.len();
        added
    }

    /// Makes sure that all documents are `known`.
    ///
    /// # Errors
    /// The first judgement of another document, with file and line.
    pub fn check_documents(&self, known: impl Fn(&str) -> bool) -> Result<()> {
        for judgement in &self.judgements {
            if let Some(id) = [&judgement.pair.a, &judgement.pair.b].into_iter().find(|id| !known(id)) {
                let what = format!("document \"{id}\" is not here");
                return Err(self.error(judgement, what, "add the documents that were judged first"));
            }
        }
        Ok(())
    }

    /// The judgements as lines of a log.
    ///
    /// # Panics
    /// Never: pairs are writable as JSON.
    pub fn to_jsonl(&self) -> String {
        let line = |judgement: &Judgement| {
            serde_json::to_string(&judgement.pair).expect("names and numbers are writable as JSON") + "\n"
        };
        self.judgements.iter().map(line).collect()
    }

    /// The judgements about one trait; without a name there must be only one.
    ///
    /// # Errors
    /// A trait that does not occur, or several where none is named; lists those there are.
    pub fn of_trait(mut self, target: Option<&str>) -> Result<Self> {
        let known: BTreeSet<&str> = self.judgements.iter().map(|j| j.pair.target.as_str()).collect();
        let listed = known.iter().copied().collect::<Vec<_>>().join(", ");
        let refuse = |what: String, remedy: &str| {
            let path = self.files.first().map(PathBuf::as_path).unwrap_or(Path::new("judgements"));
            Err(DataError::file(path, what, remedy))
        };
        match target {
            None if known.len() > 1 => {
                return refuse(
                    format!("judgements about several traits ({listed})"),
                    "choose one with --trait",
                );
            }
            Some(target) if !known.contains(target) => {
                let what = format!("no judgement about \"{target}\", only about {listed}");
                return refuse(what, "name one of those");
            }
            _ => {}
        }
        self.judgements.retain(|judgement| target.is_none_or(|target| judgement.pair.target == target));
        Ok(self)
    }

    /// An error about one judgement, naming its file and line.
    pub(super) fn error(&self, judgement: &Judgement, what: String, remedy: &str) -> DataError {
        DataError::line(&self.files[judgement.file], judgement.line, what, remedy)
    }
}

/// What is wrong with a judgement that could not be wrong with a pair.
fn defect(pair: &Pair) -> Option<(String, &'static str)> {
    match &pair.shown_left {
        Some(left) if *left != pair.a && *left != pair.b => {
            Some((format!("\"{left}\" on the left is neither document"), "write a or b as \"shown_left\""))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"run":0,"trait":"grammar","split":"train","index":0,"a":"x","b":"z","y":1,"judge":"me","shown_left":"z","ms":1200,"at":"2026-05-01T10:00:00Z"}"#;

    fn parse(lines: &[String]) -> Result<JudgementLog> {
        JudgementLog::parse(Path::new("log.jsonl"), &lines.join("\n"), &LogDefaults::default())
    }

    fn edited(from: &str, to: &str) -> String {
        assert!(LINE.contains(from), "{from}");
        LINE.replace(from, to)
    }

    #[test]
    fn copies_are_dropped_and_counted() {
        let turned = edited(r#""a":"x","b":"z","y":1"#, r#""a":"z","b":"x","y":0"#);
        let log = parse(&[LINE.into(), LINE.into(), turned]).unwrap();
        assert_eq!((log.judgements.len(), log.duplicates), (1, 2));
    }

    #[test]
    fn what_differs_is_another_judgement() {
        let others = [
            edited("\"me\"", "\"you\""),
            edited("10:00", "10:01"),
            edited("grammar", "syntax"),
            edited("\"y\":1", "\"y\":0"),
            edited("\"shown_left\":\"z\"", "\"shown_left\":\"x\""),
            edited("\"b\":\"z\"", "\"b\":\"z2\"").replace("\"shown_left\":\"z\"", "\"shown_left\":\"z2\""),
        ];
        let lines: Vec<String> = others.into_iter().chain([LINE.into()]).collect();
        let log = parse(&lines).unwrap();
        assert_eq!((log.judgements.len(), log.duplicates), (7, 0));
    }

    #[test]
    fn merging_a_log_with_itself_changes_nothing_but_the_count() {
        let log = parse(&[LINE.into(), edited("\"me\"", "\"you\"")]).unwrap();
        let merged = JudgementLog::merge(vec![log.clone(), log.clone()]);
        assert_eq!((merged.judgements.clone(), merged.duplicates), (log.judgements.clone(), 2));
        assert_eq!(merged.files.len(), 2);
    }

    #[test]
    fn additions_are_what_is_new_and_can_be_written_and_read() {
        let here = parse(&[LINE.into()]).unwrap();
        let added = here.additions(parse(&[LINE.into(), edited("\"me\"", "\"you\"")]).unwrap());
        assert_eq!((added.judgements.len(), added.duplicates), (1, 1));
        let again =
            JudgementLog::parse(Path::new("log.jsonl"), &added.to_jsonl(), &LogDefaults::default()).unwrap();
        assert_eq!(again.judgements[0].pair, added.judgements[0].pair);
    }

    #[test]
    fn unknown_documents_are_named() {
        let log = parse(&[LINE.into()]).unwrap();
        assert!(log.check_documents(|id| ["x", "z"].contains(&id)).is_ok());
        let message = log.check_documents(|id| id == "x").unwrap_err().to_string();
        assert!(message.starts_with("log.jsonl: line 1: document \"z\" is not here; "), "{message}");
    }

    #[test]
    fn files_and_lines_survive_a_merge() {
        let one = parse(&[LINE.into()]).unwrap();
        let other = edited("\"me\"", "\"you\"");
        let two =
            JudgementLog::parse(Path::new("two.jsonl"), &format!("\n\n{other}\n"), &LogDefaults::default())
                .unwrap();
        let merged = JudgementLog::merge(vec![one, two]);
        let message = merged.error(&merged.judgements[1], "wrong".into(), "mend it").to_string();
        assert_eq!(message, "two.jsonl: line 3: wrong; mend it");
    }

    #[test]
    fn a_comma_is_a_decimal_point() {
        let log = parse(&[edited("\"ms\":1200", "\"weight\":\"0,5\"")]).unwrap();
        assert_eq!(log.judgements[0].pair.weight, Some(0.5));
    }

    #[test]
    fn bad_lines_are_named() {
        for (from, to, what) in [
            ("\"judge\":\"me\",", "", "line 2: no judge"),
            ("\"judge\":\"me\"", "\"judge\":\" \"", "line 2: no judge"),
            ("\"trait\":\"grammar\",", "", "line 2: no trait"),
            ("\"a\":\"x\"", "\"a\":[1]", "line 2: \"a\" is a list"),
            ("\"run\":0", "\"run\":\"x\"", "line 2: \"run\" is text, and no number"),
            ("\"ms\":1200", "\"ms\":true", "line 2: \"ms\" is true or false, and no number"),
            // A thousand and more, or one and a quarter.
            ("\"ms\":1200", "\"ms\":\"1,250\"", "line 2: \"ms\" is text, and no number"),
            ("\"shown_left\":\"z\"", "\"shown_left\":\"q\"", "line 2: \"q\" on the left is neither"),
            ("\"y\":1", "\"y\":0.7", "line 2: y is 0.7"),
            ("\"b\":\"z\"", "\"b\":\"x\"", "line 2: document \"x\" is paired with itself"),
        ] {
            let message = parse(&[LINE.into(), edited(from, to)]).unwrap_err().to_string();
            assert!(message.starts_with("log.jsonl: ") && message.contains(what), "{message}");
        }
    }

    #[test]
    fn a_trait_is_chosen_or_the_only_one() {
        let both = || parse(&[LINE.into(), edited("grammar", "syntax")]).unwrap();
        assert_eq!(both().of_trait(Some("syntax")).unwrap().judgements.len(), 1);
        assert_eq!(parse(&[LINE.into()]).unwrap().of_trait(None).unwrap().judgements.len(), 1);
        let message = both().of_trait(None).unwrap_err().to_string();
        assert!(message.contains("several traits (grammar, syntax); choose one"), "{message}");
        let message = both().of_trait(Some("cohesion")).unwrap_err().to_string();
        assert!(message.contains("no judgement about \"cohesion\", only about grammar, syntax"), "{message}");
    }

    fn of(name: &str, text: &str) -> Result<Vec<Pair>> {
        let defaults = LogDefaults { target: Some("quality".into()), judge: Some("me".into()) };
        let log = JudgementLog::parse(Path::new(name), text, &defaults)?;
        Ok(log.judgements.into_iter().map(|judgement| judgement.pair).collect())
    }

    fn answers(pairs: &[Pair]) -> Vec<(&str, &str, &str, f64)> {
        assert!(pairs.iter().all(|pair| pair.target == "quality"));
        pairs.iter().map(|p| (p.judge.as_deref().unwrap(), p.a.as_str(), p.b.as_str(), p.y)).collect()
    }

    #[test]
    fn two_documents_and_an_answer_are_enough() {
        let lines = "{\"a\": 1, \"b\": 2, \"y\": 1}\n{\"a\": 2, \"b\": \"3\", \"y\": 0.5, \"judge\": 7, \"ms\": 900.6, \"at\": 5}\n";
        let pairs = of("log.jsonl", lines).unwrap();
        assert_eq!(answers(&pairs), [("me", "1", "2", 1.0), ("7", "2", "3", 0.5)]);
        assert_eq!((pairs[0].at.as_deref(), pairs[1].at.as_deref()), (Some("1"), Some("5")));
        assert_eq!((pairs[0].ms, pairs[1].ms), (None, Some(901)));
        let list = "[{\"a\": \"x\", \"b\": \"y\", \"winner\": \"y\"},\n {\"a\": \"x\", \"b\": \"y\", \"winner\": \"tie\"}]";
        assert_eq!(answers(&of("log", list).unwrap()), [("me", "x", "y", 0.0), ("me", "x", "y", 0.5)]);
    }

    #[test]
    fn tables_of_comparison_tools_are_read() {
        let decisions = "Judge,Chosen,Not Chosen,Time Taken,Date\nj1,AB,XY,12000,2026-01-01 10:00\nj1,XY,QQ,9000,2026-01-01 10:01\n";
        let pairs = of("decisions.csv", decisions).unwrap();
        assert_eq!(answers(&pairs), [("j1", "AB", "XY", 1.0), ("j1", "XY", "QQ", 1.0)]);
        assert_eq!((pairs[1].ms, pairs[1].at.as_deref()), (Some(9000), Some("2026-01-01 10:01")));
        let sides = "judge;left;right;winner\nann;d1;d2;left\nann;d1;d3;d3\nbob;d2;d3;Tie\n";
        let pairs = of("sides.csv", sides).unwrap();
        let expected = [("ann", "d1", "d2", 1.0), ("ann", "d1", "d3", 0.0), ("bob", "d2", "d3", 0.5)];
        assert_eq!(answers(&pairs), expected);
        assert!(pairs.iter().all(|pair| pair.shown_left.as_ref() == Some(&pair.a)));
        let crowd = "worker,left,right,label\nw1,1,2,2\nw2,2,1,2\n";
        assert_eq!(
            answers(&of("crowd.tsv", &crowd.replace(',', "\t")).unwrap()),
            [("w1", "1", "2", 0.0), ("w2", "2", "1", 1.0)]
        );
        let message = of("sides.csv", "judge,left,right,winner\nann,d1,d2,d9\n").unwrap_err().to_string();
        assert!(message.contains("line 2: the answer \"d9\" is neither \"d1\" nor \"d2\""), "{message}");
        let message = of("other.csv", "judge,first,second\nann,d1,d2\n").unwrap_err().to_string();
        assert!(
            message.contains("line 2: no judgement; its keys are judge, first, second; name a, b and y"),
            "{message}"
        );
    }

    #[test]
    fn rows_of_a_table_are_judgements_though_their_dates_have_no_time_of_day() {
        use crate::judgements::{Comparisons, FitOptions, agreement, fit, judge_stats};
        let rows = ["j1,x,z,2026-01-01", "j1,z,x,2026-01-02", "j1,x,z,2026-01-01", "j1,x,z,2026-01-01"];
        let read = |order: [usize; 4]| {
            let table = order.map(|place| rows[place]).join("\n");
            let text = format!("judge,chosen,not chosen,date\n{table}\n");
            let defaults = LogDefaults { target: Some("quality".into()), judge: None };
            JudgementLog::parse(Path::new("decisions.csv"), &text, &defaults).unwrap()
        };
        let log = read([0, 1, 2, 3]);
        assert_eq!((log.judgements.len(), log.duplicates), (4, 0));
        let Comparisons { documents, judges, list } = Comparisons::from(&log);
        let fitted = fit(documents.len(), &list, FitOptions::default(), None).unwrap();
        let stats = judge_stats(&judges, &list, &fitted, &agreement(&list), &HashMap::new());
        assert_eq!((stats[0].repeats, stats[0].consistent), (3, 1));
        // Read again, in another order, or from the log that was made of it, they are the same judgements.
        let written = JudgementLog::parse(Path::new("log.jsonl"), &log.to_jsonl(), &LogDefaults::default());
        for again in [log.clone(), read([3, 2, 1, 0]), written.unwrap()] {
            let merged = JudgementLog::merge(vec![log.clone(), again]);
            assert_eq!((merged.judgements.len(), merged.duplicates), (4, 4));
        }
    }

    #[test]
    fn tasks_of_label_studio_are_read() {
        let task = |who: &str, selected: &str| {
            format!(
                "{{\"id\": 1, \"data\": {{\"text1\": \"A\", \"text2\": \"B\"}}, \"annotations\": [{{\"completed_by\": {who}, \
                 \"lead_time\": 1.5, \"result\": [{{\"type\": \"pairwise\", \"value\": {{\"selected\": {selected}}}}}]}}, \
                 {{\"completed_by\": 3, \"result\": []}}]}}"
            )
        };
        let file = format!("[{},\n{}]", task("1", "\"left\""), task("{\"email\": \"x@y\"}", "\"right\""));
        let pairs = of("label_studio.json", &file).unwrap();
        assert_eq!(answers(&pairs), [("1", "A", "B", 1.0), ("x@y", "A", "B", 0.0)]);
        assert_eq!((pairs[0].ms, pairs[0].shown_left.as_deref()), (Some(1500), Some("A")));
        let message = of("label_studio.json", &format!("[{}]", task("1", "5"))).unwrap_err().to_string();
        assert!(message.contains("line 1: selected is 5"), "{message}");
    }
}
