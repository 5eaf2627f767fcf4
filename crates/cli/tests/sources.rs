//! The sources against the rules of the house: no circle of files within a crate, parents and their children aside, and
//! no function over 80 lines, kernels of graphics cards aside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Lines of a function, at most.
const LONGEST: usize = 80;
/// Kernels are written out: calls within them would be other kernels' work.
const KERNELS: &str = "crates/model/src/kernels/cube/";

/// A module's path within its crate, by names; the crate itself has none.
type Module = Vec<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The `src` folders of all crates.
fn crates() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("crates")).unwrap();
    entries.map(|entry| entry.unwrap().path().join("src")).filter(|folder| folder.is_dir()).collect()
}

/// Rust files below a folder with their texts.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// Names and punctuation of a source, without comments and without the tests at its end.
fn tokens(source: &str) -> Vec<&str> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    for mut line in lines {
        while let Some(first) = line.chars().next() {
            let end = if is_name(first) {
                line.find(|c| !is_name(c)).unwrap_or(line.len())
            } else if line.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                tokens.push(&line[..end]);
            }
            line = &line[end..];
        }
    }
    tokens
}

/// Reads a path at the beginning of the tokens, a tree of them where it has braces.
fn tree<'a>(tokens: &mut &[&'a str], prefix: &[&'a str], paths: &mut Vec<Vec<&'a str>>) {
    let mut path = prefix.to_vec();
    loop {
        match tokens {
            ["{", rest @ ..] => {
                *tokens = rest;
                while !matches!(tokens, [] | ["}", ..]) {
                    tree(tokens, &path, paths);
                    if let [",", rest @ ..] = tokens {
                        *tokens = rest;
                    }
                }
                *tokens = tokens.get(1..).unwrap_or_default();
                return;
            }
            [name, "::", rest @ ..] => {
                path.push(name);
                *tokens = rest;
            }
            [name, "as", _, rest @ ..] | [name, rest @ ..] => {
                path.push(name);
                *tokens = rest;
                break;
            }
            [] => break,
        }
    }
    paths.push(path);
}

/// The files of a crate as modules, and what they name.
struct Sources {
    /// Paths that a module names, as they are written.
    named: BTreeMap<Module, Vec<Vec<String>>>,
    /// What a module gives out again: the name, and its path as it is written.
    given: BTreeMap<Module, Vec<Vec<String>>>,
}

impl Sources {
    fn read(folder: &Path) -> Self {
        let mut sources = Self { named: BTreeMap::new(), given: BTreeMap::new() };
        for (path, text) in sources_but_tests(folder) {
            let tokens = tokens(&text);
            let (mut named, mut given) = (Vec::new(), Vec::new());
            for place in 0..tokens.len() {
                let mut rest = &tokens[place..];
                match rest {
                    ["crate" | "super" | "self", "::", ..] if place == 0 || tokens[place - 1] != "::" => {
                        tree(&mut rest, &[], &mut named);
                    }
                    ["pub", "use", ..] => tree(&mut &rest[2..], &[], &mut given),
                    ["pub", "(", _, ")", "use", ..] => tree(&mut &rest[5..], &[], &mut given),
                    _ => {}
                }
            }
            let owned = |paths: Vec<Vec<&str>>| {
                paths.into_iter().map(|path| path.into_iter().map(str::to_owned).collect()).collect()
            };
            let module = module(path.strip_prefix(folder).unwrap());
            sources.named.insert(module.clone(), owned(named));
            sources.given.insert(module, owned(given));
        }
        sources
    }

    /// The module where what a path names is declared; `at` is the module that names it.
    fn declared(&self, at: &[String], path: &[String], depth: usize) -> Module {
        let mut here = at.to_vec();
        let mut names = path;
        while let [name, rest @ ..] = names {
            match name.as_str() {
                "crate" => here.clear(),
                "super" => drop(here.pop()),
                "self" => {}
                _ => break,
            }
            names = rest;
        }
        for (place, name) in names.iter().enumerate() {
            let child = [here.as_slice(), std::slice::from_ref(name)].concat();
            if self.named.contains_key(&child) {
                here = child;
                continue;
            }
            let again = self.given.get(&here).into_iter().flatten().find(|given| given.last() == Some(name));
            return match again {
                Some(given) if depth > 0 => {
                    let rest = [given.as_slice(), &names[place + 1..]].concat();
                    self.declared(&here, &rest, depth - 1)
                }
                _ => here,
            };
        }
        here
    }

    /// Which modules a module needs that are neither above nor below it.
    fn needs(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let beside = |one: &Module, other: &Module| !one.starts_with(other) && !other.starts_with(one);
        self.named
            .iter()
            .map(|(module, paths)| {
                let needed = paths.iter().map(|path| self.declared(module, path, 8));
                (module, needed.filter(|other| beside(module, other)).collect())
            })
            .collect()
    }
}

/// Without files of tests.
fn sources_but_tests(folder: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    sources(folder).into_iter().filter(|(path, _)| {
        let name = path.file_stem().unwrap().to_string_lossy();
        !(name == "tests" || name == "testing" || name.ends_with("_tests"))
    })
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`.
fn module(path: &Path) -> Module {
    let names = path.with_extension("");
    let mut names: Module = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if names.last().is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str())) {
        names.pop();
    }
    names
}

/// Modules from which following the needs leads back to them.
fn circle(needs: &BTreeMap<&Module, BTreeSet<Module>>) -> Vec<String> {
    let leads_back = |module: &&&Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![**module]);
        while let Some(one) = next.pop() {
            for other in needs.get(one).into_iter().flatten() {
                if seen.insert(other) {
                    next.push(other);
                }
            }
        }
        seen.contains(**module)
    };
    needs.keys().filter(leads_back).map(|module| module.join("::")).collect()
}

#[test]
fn no_files_of_a_crate_need_each_other_in_a_circle() {
    for folder in crates() {
        let sources = Sources::read(&folder);
        let circle = circle(&sources.needs());
        assert!(circle.is_empty(), "{}: these need each other in a circle: {circle:?}", folder.display());
    }
}

#[test]
fn circles_are_found_through_trees_and_what_is_given_out_again() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub(crate) use b::{One, Two as Second};"),
        ("a.rs", "use crate::{One, c::{self, Three}};"),
        ("b.rs", "pub struct One; // crate::a\nfn f() { crate::c::go(); }"),
        ("c/mod.rs", "mod d;\npub use d::Three;"),
        ("c/d.rs", "pub struct Three;\n#[cfg(test)]\nmod tests { use crate::a; }"),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let found = || circle(&Sources::read(folder.path()).needs());
    assert_eq!(found(), Vec::<String>::new());
    std::fs::write(folder.path().join("c/d.rs"), "pub struct Three;\nuse super::super::One;").unwrap();
    assert_eq!(found(), Vec::<String>::new(), "b needs c, and c::d needs b, but c is the parent of d");
    std::fs::write(folder.path().join("b.rs"), "pub struct One;\nfn f(_: crate::c::Three) {}").unwrap();
    assert_eq!(found(), ["b", "c::d"]);
}

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for folder in crates() {
        for (path, text) in sources_but_tests(&folder) {
            let place = path.strip_prefix(root()).unwrap().display().to_string();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            if !place.starts_with(KERNELS) {
                long.extend(
                    long_functions(code).map(|(name, lines)| format!("{place}: {name} has {lines} lines")),
                );
            }
        }
    }
    assert!(long.is_empty(), "functions of more than {LONGEST} lines:\n{}", long.join("\n"));
}

/// Functions that are too long, by the indentation that rustfmt gives them.
fn long_functions(code: &str) -> impl Iterator<Item = (&str, usize)> {
    let lines: Vec<&str> = code.lines().collect();
    let begins = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        code.split_whitespace().any(|word| word == "fn")
    };
    let starts: Vec<usize> = (0..lines.len()).filter(|&place| begins(lines[place])).collect();
    starts.into_iter().filter_map(move |start| {
        let line = lines[start];
        let name = line.split("fn ").nth(1)?.split(['(', '<']).next()?;
        let indent = &line[..line.len() - line.trim_start().len()];
        // The end of a body, or of a signature without one.
        let ends = |line: &&str| {
            let rest = line.strip_prefix(indent).unwrap_or_default();
            rest.starts_with('}') || !rest.starts_with(' ') && rest.ends_with([';', '}'])
        };
        let length = lines[start..].iter().position(ends)? + 1;
        (length > LONGEST).then_some((name, length))
    })
}
