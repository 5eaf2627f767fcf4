//! Charts as SVG text: two axes, marks, a legend.
//!
//! Colours are CSS variables, so that a chart follows the page it is in, and light or dark; a chart on its own brings
//! [`STYLE`] along. Series differ by colour, by dash and by the shape of their marks. Every chart has a title and a
//! description for readers who do not see it.

use std::fmt::Write as _;

/// The variables and classes that charts use.
pub(crate) const STYLE: &str = include_str!("chart.css");

/// Series that can be told apart.
pub(crate) const SERIES: usize = 9;

/// Where the plane of a chart lies, in units of its width and height.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
/// Height of a line of the legend, and what a character takes of its width.
const LINE: f64 = 17.0;
const CHARACTER: f64 = 6.3;

/// Makes text safe within markup.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The start of a text that is too long for its place.
fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Longest name of a row or series in a chart; tables have the whole of it.
const LONGEST: usize = 50;

/// One direction of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    label: String,
    low: f64,
    high: f64,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Numbers, with round ticks; the ends are widened to hold all values, which are finite.
    pub(crate) fn numbers(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) =
            values.into_iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low < 1e-9 {
            (low, high) = (low - 0.5, high + 0.5);
        }
        Self::with_step(label, low, high, round_step((high - low) / 5.0))
    }

    /// Whole numbers, such as epochs.
    pub(crate) fn whole(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = values.into_iter().fold((0.0, 1.0_f64), |(low, high), v| (v.min(low), high.max(v)));
        Self::with_step(label, low, high, round_step((high - low) / 6.0).max(1.0))
    }

    fn with_step(label: &str, low: f64, high: f64, step: f64) -> Self {
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let count = ((high - low) / step).round() as usize;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let tick = |i: usize| {
            let value = low + i as f64 * step;
            // No "-0.0".
            let value = if value.abs() < step / 1e6 { 0.0 } else { value };
            (value, format!("{value:.digits$}"))
        };
        Self { label: label.into(), low, high, ticks: (0..=count).map(tick).collect() }
    }

    /// Names, each in the middle of a band one wide; the first is at 0.
    pub(crate) fn names<T: ToString>(label: &str, names: &[T]) -> Self {
        let ticks = names.iter().enumerate().map(|(i, name)| (i as f64, name.to_string())).collect();
        Self { label: label.into(), low: -0.5, high: names.len() as f64 - 0.5, ticks }
    }

    fn at(&self, value: f64, from: f64, to: f64) -> f64 {
        from + (value - self.low) / (self.high - self.low) * (to - from)
    }
}

/// 1, 2 or 5 times a power of ten, not below.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|s| *s >= step * 0.999)
        .unwrap_or(10.0 * power)
}

/// A chart in the making. Positions are values of the axes.
#[derive(Debug)]
pub(crate) struct Chart {
    x: Axis,
    y: Axis,
    width: f64,
    height: f64,
    left: f64,
    /// Names of the vertical axis go from top to bottom.
    downwards: bool,
    body: String,
    legend: Vec<(usize, String, Key)>,
}

/// What the legend shows beside a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Line,
    Mark,
    Bar,
}

impl Chart {
    /// A chart of two axes.
    pub(crate) fn new(x: Axis, y: Axis) -> Self {
        let (body, legend) = (String::new(), Vec::new());
        Self { x, y, width: 440.0, height: 290.0, left: LEFT, downwards: false, body, legend }
    }

    /// A chart with a row per name, first on top.
    pub(crate) fn of_rows(x: Axis, names: &[String]) -> Self {
        let names: Vec<String> = names.iter().map(|name| clip(name, LONGEST)).collect();
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let left = (longest as f64 * CHARACTER + 22.0).clamp(LEFT, 350.0);
        let mut chart = Self::new(x, Axis::names("", &names));
        chart.height = TOP + BOTTOM + 30.0 * names.len() as f64;
        (chart.left, chart.width, chart.downwards) = (left, 390.0 + left, true);
        chart
    }

    fn px(&self, x: f64) -> f64 {
        self.x.at(x, self.left, self.width - RIGHT)
    }

    fn py(&self, y: f64) -> f64 {
        let (top, bottom) = (TOP, self.height - BOTTOM);
        if self.downwards { self.y.at(y, top, bottom) } else { self.y.at(y, bottom, top) }
    }

    /// A line through points; with marks, one at each.
    pub(crate) fn line(&mut self, series: usize, points: &[(f64, f64)], marks: bool) {
        let places: Vec<String> =
            points.iter().map(|&(x, y)| format!("{:.1} {:.1}", self.px(x), self.py(y))).collect();
        if places.len() > 1 {
            let _ = write!(self.body, r#"<path class="line s{series}" d="M{}"/>"#, places.join("L"));
        }
        for &(x, y) in points.iter().filter(|_| marks || points.len() == 1) {
            self.mark(series, x, y);
        }
    }

    /// A mark in the shape of its series.
    pub(crate) fn mark(&mut self, series: usize, x: f64, y: f64) {
        let mark = shape(series, self.px(x), self.py(y), 3.6);
        self.body += &mark;
    }

    /// Many small dots at once, faint where they are few over each other.
    pub(crate) fn dots(&mut self, series: usize, points: impl Iterator<Item = (f64, f64)>) {
        self.path_of_dots("dots", series, points);
    }

    /// A few dots, each of which counts.
    pub(crate) fn folds(&mut self, series: usize, points: impl Iterator<Item = (f64, f64)>) {
        self.path_of_dots("folds", series, points);
    }

    fn path_of_dots(&mut self, class: &str, series: usize, points: impl Iterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "M{:.1} {:.1}h0", self.px(x), self.py(y));
        }
        let _ = write!(self.body, r#"<path class="{class} s{series}" d="{path}"/>"#);
    }

    /// A bar from `y0` to `y1` between `x0` and `x1`.
    pub(crate) fn bar(&mut self, series: usize, x: [f64; 2], y: [f64; 2]) {
        let ([x0, x1], [y0, y1]) = (x.map(|x| self.px(x)), y.map(|y| self.py(y)));
        let _ = write!(
            self.body,
            r#"<rect class="bar s{series}" x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}"/>"#,
            x0.min(x1),
            y0.min(y1),
            (x1 - x0).abs(),
            (y1 - y0).abs()
        );
    }

    /// A cell of a table, darker with its share (0 to 1), and what is written in it.
    pub(crate) fn cell(&mut self, x: f64, y: f64, share: f64, text: &str) {
        let (px, py) = (self.px(x - 0.5), self.py(y - 0.5));
        let (width, height) = (self.px(x + 0.5) - px, self.py(y + 0.5) - py);
        let (top, height) = (py.min(py + height), height.abs());
        let strong = if share > 0.55 { " strong" } else { "" };
        let _ = write!(
            self.body,
            r#"<rect class="cell" style="opacity:{share:.3}" x="{px:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"/><text class="count{strong}" x="{:.1}" y="{:.1}">{}</text>"#,
            px + width / 2.0,
            top + height / 2.0 + 4.0,
            escape(text)
        );
    }

    /// A horizontal interval with its middle marked.
    pub(crate) fn interval(&mut self, series: usize, low: f64, middle: f64, high: f64, y: f64) {
        self.segment("whisker", (low, y), (high, y));
        self.mark(series, middle, y);
    }

    /// A straight line in a style of its own: `rule`, `whisker` or `reference`.
    pub(crate) fn segment(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let _ = write!(
            self.body,
            r#"<path class="{class}" d="M{:.1} {:.1}L{:.1} {:.1}"/>"#,
            self.px(from.0),
            self.py(from.1),
            self.px(to.0),
            self.py(to.1)
        );
    }

    /// A vertical line across the plane, with a word at its top, on the side where there is room.
    pub(crate) fn vertical(&mut self, x: f64, text: &str) {
        let (low, high) = (self.y.low, self.y.high);
        self.segment("reference", (x, low), (x, high));
        let right_half = x > f64::midpoint(self.x.low, self.x.high);
        let (gap, anchor) = if right_half { (-4.0, "end") } else { (4.0, "start") };
        let _ = write!(
            self.body,
            r#"<text class="note" x="{:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
            self.px(x) + gap,
            TOP + 9.0,
            escape(&clip(text, 24))
        );
    }

    /// The diagonal of equal values, as far as both axes go.
    pub(crate) fn diagonal(&mut self) {
        let low = self.x.low.max(self.y.low);
        let high = self.x.high.min(self.y.high);
        self.segment("reference", (low, low), (high, high));
    }

    /// Names a series.
    pub(crate) fn name(&mut self, series: usize, name: &str, key: Key) {
        self.legend.push((series, clip(name, LONGEST), key));
    }

    /// The chart with its axes; `title` and `description` are for those who do not see it. `id` is unique on a page.
    pub(crate) fn finish(&self, id: &str, title: &str, description: &str) -> String {
        let (legend, legend_height) = self.legend_markup();
        let height = self.height + legend_height;
        format!(
            r#"<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0} {height:.0}" role="img" aria-labelledby="{id}-t {id}-d"><title id="{id}-t">{}</title><desc id="{id}-d">{}</desc>{}{}{legend}</svg>"#,
            self.width,
            escape(title),
            escape(description),
            self.axes(),
            self.body,
        )
    }

    fn axes(&self) -> String {
        let (left, right) = (self.left, self.width - RIGHT);
        let (top, bottom) = (TOP, self.height - BOTTOM);
        let mut text = String::new();
        let every = |axis: &Axis, room: f64| {
            let widest = axis.ticks.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(1);
            ((axis.ticks.len() as f64 * (widest as f64 * CHARACTER + 8.0) / room).ceil() as usize).max(1)
        };
        for (value, name) in self.x.ticks.iter().step_by(every(&self.x, right - left)) {
            let x = self.px(*value);
            let _ = write!(
                text,
                r#"<path class="grid" d="M{x:.1} {top}V{bottom}"/><text class="tick" x="{x:.1}" y="{:.1}">{}</text>"#,
                bottom + 16.0,
                escape(name)
            );
        }
        for (value, name) in &self.y.ticks {
            let y = self.py(*value);
            let _ = write!(
                text,
                r#"<path class="grid" d="M{left} {y:.1}H{right}"/><text class="tick end" x="{:.1}" y="{:.1}">{}</text>"#,
                left - 8.0,
                y + 4.0,
                escape(name)
            );
        }
        let _ = write!(
            text,
            r#"<path class="axis" d="M{left} {top}V{bottom}H{right}"/><text class="label" x="{:.1}" y="{:.1}">{}</text>"#,
            (left + right) / 2.0,
            bottom + 34.0,
            escape(&self.x.label)
        );
        if !self.y.label.is_empty() {
            let middle = (top + bottom) / 2.0;
            let _ = write!(
                text,
                r#"<text class="label" transform="translate(14 {middle:.1}) rotate(-90)">{}</text>"#,
                escape(&self.y.label)
            );
        }
        text
    }

    /// The legend in lines below the chart, and their height.
    fn legend_markup(&self) -> (String, f64) {
        let mut text = String::new();
        let (mut x, mut line) = (self.left, 0.0);
        for (series, name, key) in &self.legend {
            let width = 30.0 + name.chars().count() as f64 * CHARACTER + 14.0;
            if x > self.left && x + width > self.width {
                (x, line) = (self.left, line + 1.0);
            }
            let y = self.height + line * LINE + 8.0;
            match key {
                Key::Line => {
                    let _ = write!(text, r#"<path class="line s{series}" d="M{x:.1} {y:.1}h24"/>"#);
                    text += &shape(*series, x + 12.0, y, 3.6);
                }
                Key::Mark => text += &shape(*series, x + 12.0, y, 3.6),
                Key::Bar => {
                    let _ = write!(
                        text,
                        r#"<rect class="bar s{series}" x="{:.1}" y="{:.1}" width="16" height="10"/>"#,
                        x + 4.0,
                        y - 5.0
                    );
                }
            }
            let _ = write!(
                text,
                r#"<text class="key" x="{:.1}" y="{:.1}">{}</text>"#,
                x + 30.0,
                y + 4.0,
                escape(name)
            );
            x += width;
        }
        (text, if self.legend.is_empty() { 0.0 } else { (line + 1.0) * LINE + 4.0 })
    }
}

/// The mark of a series: circle, square, triangle or diamond, filled or hollow.
fn shape(series: usize, x: f64, y: f64, r: f64) -> String {
    let hollow = if (series / 4) % 2 == 1 { " hollow" } else { "" };
    let path = match series % 4 {
        0 => {
            return format!(r#"<circle class="mark s{series}{hollow}" cx="{x:.1}" cy="{y:.1}" r="{r}"/>"#);
        }
        1 => format!("M{:.1} {:.1}h{}v{}h-{}z", x - r, y - r, 2.0 * r, 2.0 * r, 2.0 * r),
        2 => format!("M{x:.1} {:.1}l{r} {}h-{}z", y - 1.2 * r, 2.1 * r, 2.0 * r),
        _ => format!("M{x:.1} {:.1}l{r} {r}l-{r} {r}l-{r} -{r}z", y - r),
    };
    format!(r#"<path class="mark s{series}{hollow}" d="{path}"/>"#)
}

/// A chart as a file of its own.
pub(crate) fn standalone(svg: &str) -> String {
    let (head, body) = svg.split_once('>').unwrap_or((svg, ""));
    format!("{head}><style>{STYLE}</style>{body}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_all_values() {
        let names = |axis: Axis| axis.ticks.into_iter().map(|(_, name)| name).collect::<Vec<_>>();
        assert_eq!(names(Axis::numbers("", [0.13, 0.52])), ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6"]);
        assert_eq!(names(Axis::numbers("", [-1.0, 1.0])), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(names(Axis::numbers("", [1.0, 5.0])), ["1", "2", "3", "4", "5"]);
        let alone = Axis::numbers("", [3.0]);
        assert!(alone.low < 3.0 && alone.high > 3.0);
        assert_eq!((Axis::numbers("", []).low, Axis::numbers("", []).high), (0.0, 1.0));
    }

    #[test]
    fn long_names_are_clipped_between_characters() {
        assert_eq!(clip("äöü", 3), "äöü");
        assert_eq!(clip("äöüß", 3), "äöü…");
    }

    #[test]
    fn names_of_series_cannot_break_out_of_the_markup() {
        let mut chart = Chart::new(Axis::numbers("<x>", [0.0]), Axis::names("y", &["\"a\" & b"]));
        chart.name(0, "</svg><script>", Key::Line);
        let svg = chart.finish("id", "a < b", "c & d");
        assert!(!svg.contains("<script") && !svg.contains("\"a\"") && svg.contains("a &lt; b"));
        assert_eq!(svg.matches("</svg>").count(), 1);
    }

    #[test]
    fn values_go_where_the_axes_say() {
        let mut chart = Chart::new(Axis::numbers("", [0.0, 10.0]), Axis::numbers("", [0.0, 1.0]));
        assert_eq!((chart.px(0.0), chart.px(10.0)), (LEFT, 440.0 - RIGHT));
        assert_eq!((chart.py(0.0), chart.py(1.0)), (290.0 - BOTTOM, TOP));
        chart.downwards = true;
        assert_eq!((chart.py(0.0), chart.py(1.0)), (TOP, 290.0 - BOTTOM));
    }
}
