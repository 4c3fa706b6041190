//! Which charts there are, and what they show: ratios to the server that others are compared to.

use super::points::Group;
use super::results::{Measured, Results};
use super::stats::thousands;
use super::summary::Summary;
use super::svg::{Bar, Chart, Panel};

/// Returns all charts of which there are figures.
pub(super) fn all(results: &Results) -> Vec<Chart> {
    let groups = [Group::Echo, Group::Deflate, Group::Broadcast, Group::Handshake, Group::Idle];
    let mut charts = of(results, &[]);
    charts.extend(groups.iter().flat_map(|group| of(results, &[*group])));
    charts
}

/// Returns the charts of a group of points; of none, that of the summary.
pub(super) fn of(results: &Results, groups: &[Group]) -> Vec<Chart> {
    let panels = match groups.first() {
        None => summary(results),
        Some(group) => results
            .of(*group)
            .filter(|measured| measured.point.is_quick())
            .map(|measured| panel(results, measured))
            .collect(),
    };
    let (file, title) = match groups.first() {
        None => ("summary", "All echoes: processor time per message, geometric mean"),
        Some(Group::Echo) => ("echo", "Echo: processor time per message"),
        Some(Group::Deflate) => ("deflate", "Echo under permessage-deflate: processor time"),
        Some(Group::Broadcast) => ("broadcast", "Broadcast: processor time per delivery"),
        Some(Group::Handshake) => ("handshake", "Handshake: processor time per connection"),
        Some(Group::Idle) => ("idle", "Idle connections: private memory of each"),
    };
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| !panel.bars.is_empty()).collect();
    let subtitle = format!(
        "as a ratio to {}, on a logarithmic scale; to the left of 1 is less",
        results.base()
    );
    let chart = Chart { file, title, subtitle, panels };
    Some(chart).filter(|chart| !chart.panels.is_empty()).into_iter().collect()
}

/// Shows the means over all echoes.
fn summary(results: &Results) -> Vec<Panel> {
    let panel = |title: &str, mean: fn(&Summary<'_>) -> Option<f64>| {
        let bar = |name: &str| Summary::of(results, name, results.base()).as_ref().and_then(mean);
        let bars = others(results)
            .filter_map(|name| Some(Bar { name: name.to_owned(), ratio: bar(name)?, figure: None }))
            .collect();
        Panel { title: title.to_owned(), bars }
    };
    vec![
        panel("user and system time", |summary| Some(summary.mean)),
        panel("user time alone", |summary| summary.user),
    ]
}

/// Shows a point.
fn panel(results: &Results, measured: &Measured) -> Panel {
    let unit = if measured.point.group() == Group::Idle { "B" } else { "ns" };
    let figure =
        |name: &str| measured.figure(name).map(|figure| format!("{} {unit}", thousands(figure)));
    let base = results.base();
    let bar = |name: &str| {
        let ratio = measured.ratio(name, base)?;
        Some(Bar { name: name.to_owned(), ratio, figure: figure(name) })
    };
    let bars = others(results).filter_map(bar).collect();
    let title = match figure(base) {
        Some(figure) => format!("{} ({base}: {figure})", title(measured)),
        None => title(measured),
    };
    Panel { title, bars }
}

fn title(measured: &Measured) -> String {
    let point = &measured.point;
    let many = format!("{} connections", thousands(point.connections as f64));
    match point.group() {
        Group::Echo | Group::Deflate => {
            let size = point.to_string();
            let size = size.split(',').next().unwrap_or_default();
            format!("{size}, {many}, {} in flight", point.in_flight)
        }
        Group::Broadcast => format!("to {many}, {} at once", point.in_flight),
        Group::Handshake => format!("{many} together"),
        Group::Idle => many,
    }
}

fn others(results: &Results) -> impl Iterator<Item = &str> {
    results.servers.iter().skip(1).map(|server| server.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::sample;
    use super::*;

    #[test]
    fn there_is_a_chart_of_what_was_measured_and_of_nothing_else() {
        let files: Vec<&str> = all(&sample()).iter().map(|chart| chart.file).collect();
        assert_eq!(files, ["summary", "echo", "idle"]);
    }

    #[test]
    fn a_panel_names_the_figure_that_all_are_compared_to() {
        let results = sample();
        let panel = panel(&results, &results.points[2]);
        assert_eq!(panel.title, "64 connections (a: 256 B)");
        assert_eq!((panel.bars[0].ratio, panel.bars[0].figure.as_deref()), (2.0, Some("512 B")));
    }
}
