//! Rows of text, as CSV, HTML and Markdown.

use crate::svg::escape;

/// A table whose first row names its columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cells {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Cells {
    pub(crate) fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row of as many cells as there are columns.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.header.len());
        self.rows.push(row);
    }

    pub(crate) fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).expect("writing to memory does not fail");
        }
        writer.into_inner().expect("writing to memory does not fail")
    }

    pub(crate) fn html(&self, caption: &str) -> String {
        let cells = |row: &[String], name: &str, rest: &str| -> String {
            row.iter()
                .enumerate()
                .map(|(i, cell)| {
                    let tag = if i == 0 { name } else { rest };
                    let kind = tag.split(' ').next().unwrap_or(tag);
                    format!("<{tag}>{}</{kind}>", escape(cell))
                })
                .collect()
        };
        let head = cells(&self.header, "th scope=\"col\"", "th scope=\"col\"");
        let body: String = self
            .rows
            .iter()
            .map(|row| format!("<tr>{}</tr>", cells(row, "th scope=\"row\"", "td")))
            .collect();
        format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><caption>{0}</caption>\
             <thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>",
            escape(caption)
        )
    }

    pub(crate) fn markdown(&self) -> String {
        let line = |row: &[String]| {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|---|{}\n", "---:|".repeat(self.header.len().saturating_sub(1)));
        std::iter::once(line(&self.header))
            .chain([rule])
            .chain(self.rows.iter().map(|row| line(row)))
            .collect()
    }
}

/// Four digits, or a dash.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.4}"))
}

/// Three digits with a sign, or a dash.
pub(crate) fn signed(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:+.3}"))
}

/// A mean with its deviation over folds, where there is one.
pub(crate) fn with_sd(value: Option<(f64, Option<f64>)>) -> String {
    match value {
        None => "–".into(),
        Some((mean, None)) => format!("{mean:.3}"),
        Some((mean, Some(sd))) => format!("{mean:.3} ± {sd:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_in_three_forms() {
        let mut table = Cells::new(&["name", "a|b"]);
        table.push(vec!["<x>, y".into(), "1".into()]);
        assert_eq!(table.csv(), b"name,a|b\n\"<x>, y\",1\n");
        assert_eq!(table.markdown(), "| name | a\\|b |\n|---|---:|\n| <x>, y | 1 |\n");
        let html = table.html("A & B");
        assert!(html.contains("<th scope=\"row\">&lt;x&gt;, y</th><td>1</td>"), "{html}");
        assert!(html.contains("<caption>A &amp; B</caption>"));
    }

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(with_sd(Some((0.5, Some(0.0214)))), "0.500 ± 0.021");
        assert_eq!(
            (with_sd(None).as_str(), signed(Some(0.1)).as_str(), number(None).as_str()),
            ("–", "+0.100", "–")
        );
    }
}
