//! `demo`: trains once, is shown again at once, and hosts the page of its scorer.

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use common::Folder;
use common::http::Connection;

/// Ends the server also where the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The rows of the table, with the seconds of their training, and the comparison below it.
fn table(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("labels_") || line.starts_with("all_labels")).collect()
}

#[test]
fn a_demo_that_is_over_is_hosted_without_training_again() {
    let folder = Folder::empty();
    folder.write("web/dist/index.html", "the page");
    let first = folder.run("demo --device cpu").expect(0);
    let command = first.lines().find_map(|line| line.strip_prefix("The scoring page: ")).unwrap();
    let (program, args) = command.split_once(' ').unwrap();
    assert!(program.ends_with("pair2score"), "{command}");
    assert_eq!(args, "demo --device cpu --serve");
    assert!(folder.path("demo/site/index.html").exists());
    // As an earlier version of the demo may have left it.
    folder.write("demo/data/essays.csv", "text_id,full_text\n");

    let mut again = Running(
        folder
            .command(&format!("{args} --port 0"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(again.0.stdout.take().unwrap()).lines();
    let mut said = String::new();
    let serving = loop {
        let line = lines.next().expect("it ended without serving").unwrap();
        if line.starts_with("serving ") {
            break line;
        }
        said += &format!("{line}\n");
    };
    assert_eq!(table(&said), table(&first));
    assert_eq!(table(&said).len(), 4, "{said}");
    let address = serving.strip_prefix("serving demo/site on http://").unwrap().split('/').next().unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{serving}");
    let mut connection = Connection::new(address);
    assert_eq!(connection.send("GET", "/", "", b"").unwrap().text(), "the page");
    let manifest = connection.send("GET", "/bundle/manifest.json", "", b"").unwrap().json();
    assert_eq!(manifest["scorer"]["target"], "grammar");

    stop(&mut again);
    let notes = std::io::read_to_string(again.0.stderr.take().unwrap()).unwrap();
    assert_eq!(notes.matches("stage 2: is over, its results are kept").count(), 3, "{notes}");
    assert!(!notes.contains("solved"), "{notes}");
}

/// As Ctrl-C does.
#[cfg(unix)]
fn stop(demo: &mut Running) {
    let id = demo.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(demo.0.wait().unwrap().success());
}

#[cfg(not(unix))]
fn stop(demo: &mut Running) {
    demo.0.kill().unwrap();
}

#[test]
fn what_cannot_be_hosted_is_refused_before_the_training() {
    let folder = Folder::empty();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let demo = format!("demo --serve --port {port}");
    // Without a page here the one of this source tree counts, where it was built.
    let without_page = folder.run(&demo);
    folder.write("web/dist/index.html", "the page");
    let with_page = folder.run(&demo);
    let no_page = "error: web/dist: has no built page (index.html); build it with scripts/web.sh";
    let no_port = format!("error: cannot listen on 127.0.0.1:{port}; choose another port with --port");
    assert!(with_page.stderr.starts_with(&no_port), "{with_page:?}");
    assert!(without_page.stderr.starts_with(no_page) || without_page.stderr.starts_with(&no_port));
    for refused in [without_page, with_page] {
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
    assert!(!folder.path("demo").exists());
}

#[test]
fn a_table_of_somebody_is_not_replaced() {
    let folder = Folder::empty();
    folder.write("data/essays.csv", "text_id,full_text\nmine,A text.\n");
    let refused = folder.run("demo --device cpu --output .");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("data/essays.csv: is there and not of the demo"), "{refused:?}");
    assert_eq!(folder.text("data/essays.csv"), "text_id,full_text\nmine,A text.\n");
    assert_eq!(folder.files("").into_iter().collect::<Vec<_>>(), ["data/essays.csv"]);
}
