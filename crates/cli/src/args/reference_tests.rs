//! `docs/cli.md` is written from the arguments that clap reads; this compares it with them.
//!
//! `UPDATE=1 cargo test -p pair2score-cli cli_reference` writes it anew.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

use super::Args;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");

const HEAD: &str = "\
# Commands

Every command and option. This file is written from the arguments in `crates/cli/src/args`, and a test holds it to them;
`pair2score COMMAND --help` prints the same.

Exit codes: 0 done; 1 the answer is no (`pairs stats` on splits that share documents, `devices` where there is none);
2 error. Errors go to standard error as one line that names the file, the place and what to do; a mistake on the command
line is answered with the usage. Progress goes to standard error, results to standard output.
";

#[test]
fn cli_reference_is_up_to_date() {
    let mut program = Args::command();
    program.build();
    let mut written = HEAD.to_owned();
    for command in visible(&program) {
        section(&mut written, "pair2score", command);
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(FILE, &written).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(file == written, "docs/cli.md is out of date, write it with UPDATE=1");
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

/// A command with its options, or the commands below it.
fn section(text: &mut String, above: &str, command: &Command) {
    let name = format!("{above} {}", command.get_name());
    if command.has_subcommands() {
        for inner in visible(command) {
            section(text, &name, inner);
        }
        return;
    }
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string);
    writeln!(text, "\n## `{name}`\n\n{}", about.expect("every command says what it does")).unwrap();
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| {
            !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
        })
        .collect();
    if arguments.is_empty() {
        return;
    }
    writeln!(text, "\n| Argument | Default | Meaning |\n|---|---|---|").unwrap();
    for argument in arguments {
        let help = argument.get_long_help().or_else(|| argument.get_help()).map(ToString::to_string);
        let help = help.expect("every argument says what it means");
        // Sentences, of which clap leaves the last one without its dot.
        let parts: Vec<String> =
            [help, values(argument), aliases(argument)].into_iter().filter(|s| !s.is_empty()).collect();
        let help = parts.join(". ");
        let default = match (argument.is_required_set(), argument.get_default_values()) {
            (true, _) => "required".to_owned(),
            (false, []) => String::new(),
            (false, values) => {
                let values: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
                format!("`{}`", values.join(","))
            }
        };
        let default = if argument.get_action().takes_values() { default } else { String::new() };
        let cell = |text: String| text.replace('|', "\\|").replace('\n', " ");
        writeln!(text, "| `{}` | {default} | {} |", cell(shown(argument)), cell(help)).unwrap();
    }
}

/// The values that an option may have, where they are known by name, with what each means.
fn values(argument: &Arg) -> String {
    let value = |value: &clap::builder::PossibleValue| {
        let name = format!("`{}`", value.get_name());
        value.get_help().map_or(name.clone(), |help| {
            let help = help.to_string();
            format!("{name} ({})", help.strip_suffix('.').unwrap_or(&help))
        })
    };
    let values: Vec<String> = match argument.get_action().takes_values() {
        true => {
            argument.get_possible_values().iter().filter(|value| !value.is_hide_set()).map(value).collect()
        }
        false => Vec::new(),
    };
    // What has one value only says so itself.
    if values.len() < 2 { String::new() } else { format!("One of {}", values.join(", ")) }
}

/// The other names of an option.
fn aliases(argument: &Arg) -> String {
    let aliases = argument.get_visible_aliases().unwrap_or_default();
    let names: Vec<String> = aliases.iter().map(|alias| format!("`--{alias}`")).collect();
    if names.is_empty() { String::new() } else { format!("Also called {}", names.join(", ")) }
}

/// As it is typed: `--option VALUE`, or the name of what stands at a place.
fn shown(argument: &Arg) -> String {
    let values: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let values = if argument.get_action().takes_values() { values.join(" ") } else { String::new() };
    match argument.get_long() {
        None => values,
        Some(long) if values.is_empty() => format!("--{long}"),
        Some(long) => format!("--{long} {values}"),
    }
}
