//! The text format of Prometheus, version 0.0.4.

use std::fmt::{self, Write};

use super::{Reading, series};

/// The media type of what [`render`] writes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Where the samples of one series go.
pub(super) struct Samples<'a> {
    out: &'a mut String,
    name: &'static str,
}

/// Writes all series.
pub(crate) fn render(reading: &Reading<'_>) -> String {
    let mut out = String::with_capacity(8 << 10);
    for one in series() {
        write_infallibly(&mut out, format_args!("# HELP {} {}\n", one.name, one.help));
        write_infallibly(&mut out, format_args!("# TYPE {} {}\n", one.name, one.kind.name()));
        (one.read)(reading, &mut Samples { out: &mut out, name: one.name });
    }
    out
}

impl Samples<'_> {
    /// Writes the only sample of a series.
    pub(super) fn one(&mut self, value: impl fmt::Display) {
        let name = self.name;
        write_infallibly(self.out, format_args!("{name} {value}\n"));
    }

    /// Writes a sample with a label.
    pub(super) fn labelled(
        &mut self,
        label: &str,
        of: impl fmt::Display,
        value: impl fmt::Display,
    ) {
        self.suffixed("", label, of, value);
    }

    /// Writes a sample with a label, of a part of the series.
    pub(super) fn suffixed(
        &mut self,
        suffix: &str,
        label: &str,
        of: impl fmt::Display,
        value: impl fmt::Display,
    ) {
        let name = self.name;
        // No label of ours has a character that would have to be escaped.
        let sample = format_args!("{name}{suffix}{{{label}=\"{of}\"}} {value}\n");
        write_infallibly(self.out, sample);
    }

    /// Writes the sample of a part of the series.
    pub(super) fn part(&mut self, suffix: &str, value: impl fmt::Display) {
        let name = self.name;
        write_infallibly(self.out, format_args!("{name}{suffix} {value}\n"));
    }
}

fn write_infallibly(out: &mut String, arguments: fmt::Arguments<'_>) {
    // Writing to a String never fails.
    let _ = out.write_fmt(arguments);
}
