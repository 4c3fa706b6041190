//! Draws charts as SVG: panels of bars that grow from 1, on a logarithmic scale that all panels share.
//!
//! Colours follow the reader's preference for light or dark, on a ground of their own.

use std::fmt::Write;

use super::stats::ratio;

/// A chart.
#[derive(Debug)]
pub(super) struct Chart {
    /// The name of the file, without its end.
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    pub(super) subtitle: String,
    pub(super) panels: Vec<Panel>,
}

/// Bars under a title.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) bars: Vec<Bar>,
}

/// A bar.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) ratio: f64,
    /// What the ratio is of, if it is to be told.
    pub(super) figure: Option<String>,
}

/// The scale of a chart, from a ratio to a distance from the left.
struct Scale {
    least: f64,
    most: f64,
}

impl Chart {
    /// Draws the chart.
    pub(super) fn svg(&self) -> String {
        let scale = Scale::of(self.panels.iter().flat_map(|panel| &panel.bars));
        let mut body = String::new();
        text(&mut body, (MARGIN, 30), "title", self.title);
        text(&mut body, (MARGIN, 50), "quiet", &self.subtitle);
        let mut top = TOP;
        for row in self.panels.chunks(COLUMNS) {
            for (column, panel) in row.iter().enumerate() {
                let _ = writeln!(
                    body,
                    "<g transform=\"translate({} {top})\">",
                    MARGIN + column * (PANEL + MARGIN)
                );
                panel.draw(&mut body, &scale);
                body.push_str("</g>\n");
            }
            top += row.iter().map(Panel::height).max().unwrap_or_default();
        }
        let columns = self.panels.len().clamp(1, COLUMNS);
        let width = MARGIN + columns * (PANEL + MARGIN);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {top}\" width=\"{width}\" \
             height=\"{top}\" role=\"img\" aria-label=\"{}\">\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{top}\" rx=\"8\"/>\n{body}</svg>\n",
            escape(self.title)
        )
    }
}

impl Panel {
    fn height(&self) -> usize {
        HEAD + self.bars.len() * ROW + FOOT
    }

    fn draw(&self, body: &mut String, scale: &Scale) {
        text(body, (0, 16), "head", &self.title);
        let bottom = HEAD + self.bars.len() * ROW;
        for tick in scale.ticks() {
            let (x, class) = (scale.x(tick), if tick == 1.0 { "base" } else { "grid" });
            let _ = writeln!(body, "<path class=\"{class}\" d=\"M{x:.1} {HEAD}V{bottom}\"/>");
            let _ = writeln!(
                body,
                "<text class=\"tick\" x=\"{x:.1}\" y=\"{}\">{tick}</text>",
                bottom + 14
            );
        }
        for (nth, bar) in self.bars.iter().enumerate() {
            bar.draw(body, HEAD + nth * ROW, scale);
        }
    }
}

impl Bar {
    fn draw(&self, body: &mut String, top: usize, scale: &Scale) {
        let (one, end) = (scale.x(1.0), scale.x(self.ratio));
        let (left, width) = (one.min(end), (one - end).abs().max(1.0));
        let class = if self.name.starts_with(OURS) { "ours" } else { "peer" };
        let base = top + 13;
        let _ = writeln!(
            body,
            "<text class=\"name {class}\" x=\"{}\" y=\"{base}\">{}</text>",
            NAMES - 8,
            escape(&self.name)
        );
        let _ = writeln!(
            body,
            "<rect class=\"bar {class}\" x=\"{left:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\"/>",
            top + 3,
            ROW - 6
        );
        let figure = self.figure.as_deref().map(|figure| format!(" · {figure}"));
        text(
            body,
            (NAMES + PLOT + 8, base),
            "value",
            &format!("{}{}", ratio(self.ratio), figure.unwrap_or_default()),
        );
    }
}

impl Scale {
    /// Returns the scale on which all bars find room.
    fn of<'a>(bars: impl Iterator<Item = &'a Bar>) -> Self {
        let (least, most) = bars.fold((0.8, 1.6), |(least, most), bar| {
            (f64::min(least, bar.ratio), f64::max(most, bar.ratio))
        });
        Self { least: least / 1.05, most: most * 1.05 }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value / self.least).ln() / (self.most / self.least).ln();
        NAMES as f64 + share * PLOT as f64
    }

    /// Returns where lines are drawn: at 1, 2 and 5 of each power of ten, as far as their figures have room.
    fn ticks(&self) -> Vec<f64> {
        let all = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
        let mut ticks: Vec<f64> = Vec::new();
        let inside = |tick: &&f64| (self.least..=self.most).contains(*tick);
        for &tick in all.iter().filter(inside) {
            let apart = |other: f64| (self.x(other) - self.x(tick)).abs() >= APART;
            if tick == 1.0
                || ticks.last().is_none_or(|last| apart(*last)) && (tick > 1.0 || apart(1.0))
            {
                ticks.push(tick);
            }
        }
        ticks
    }
}

fn text(body: &mut String, (x, y): (usize, usize), class: &str, words: &str) {
    let _ = writeln!(body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escape(words));
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const OURS: &str = "sockeye";
const COLUMNS: usize = 2;
const MARGIN: usize = 20;
const TOP: usize = 66;
/// The parts of a panel: names, bars, values.
const NAMES: usize = 150;
const PLOT: usize = 200;
const PANEL: usize = NAMES + PLOT + 120;
const HEAD: usize = 26;
const ROW: usize = 19;
const FOOT: usize = 32;
/// How far apart the figures of two lines must be.
const APART: f64 = 26.0;
const STYLE: &str = "
text{font:12px system-ui,sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.head{font-weight:600}
.quiet,.tick,.value{fill:#59636e}.tick{font-size:10px;text-anchor:middle}
.name{text-anchor:end}.name.ours{font-weight:600}
.ground{fill:#fff}.grid{stroke:#d1d9e0}.base{stroke:#59636e;stroke-width:1.5}
.bar.ours{fill:#0a6cbd}.bar.peer{fill:#a3adb8}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.quiet,.tick,.value{fill:#9aa4af}
.ground{fill:#0d1117}.grid{stroke:#30363d}.base{stroke:#9aa4af}
.bar.ours{fill:#58a6ff}.bar.peer{fill:#59636e}}
";

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(ratios: &[f64]) -> Chart {
        let bar = |&ratio| Bar { name: "sockeye <x>".to_owned(), ratio, figure: None };
        let panel = Panel { title: "t".to_owned(), bars: ratios.iter().map(bar).collect() };
        Chart { file: "f", title: "T & U", subtitle: String::new(), panels: vec![panel] }
    }

    #[test]
    fn every_bar_lies_within_the_plot() {
        let chart = chart(&[0.3, 1.0, 7.0, 538.0]);
        let scale = Scale::of(chart.panels.iter().flat_map(|panel| &panel.bars));
        for value in [0.3, 1.0, 538.0] {
            assert!((NAMES as f64..=(NAMES + PLOT) as f64).contains(&scale.x(value)), "{value}");
        }
        assert_eq!(chart.svg().matches("<rect class=\"bar ours\"").count(), 4);
    }

    #[test]
    fn lines_stand_at_one_and_where_their_figures_have_room() {
        let ticks = Scale { least: 0.7, most: 600.0 }.ticks();
        assert!(ticks.contains(&1.0));
        let scale = Scale { least: 0.7, most: 600.0 };
        assert!(ticks.windows(2).all(|pair| scale.x(pair[1]) - scale.x(pair[0]) >= APART));
    }

    #[test]
    fn words_are_escaped() {
        let svg = chart(&[2.0]).svg();
        assert!(svg.contains("T &amp; U") && svg.contains("sockeye &lt;x&gt;"));
    }
}
